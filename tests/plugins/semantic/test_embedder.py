from __future__ import annotations

import re
from importlib.metadata import metadata

from llmproxy_semantic.embedder import MISSING


def test_who_lacks_the_packages_is_told_of_an_extra_that_there_is() -> None:
    named = re.search(r"pip install '([a-z-]+)\[([a-z]+)\]'", MISSING)

    assert named is not None
    assert named[2] in metadata(named[1]).get_all("Provides-Extra", [])
