"""What Cohere's models take, told by their names; of a name that tells nothing its provider says what it refuses."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_THOUGHTLESS: Final = re.compile(
    r"command(?:-(?:r|r7b|light|nightly|xlarge|medium)(?![a-z0-9]).*|-a-(?:03-2025|vision|translate).*|-a)?$|(?:c4ai-)?aya"
    r"|c4ai-command-r|tiny-aya"
)


@lru_cache(maxsize=512)
def thinks(model: str) -> bool:
    """Say whether a model may think, and takes thoughts of earlier turns back."""
    return _THOUGHTLESS.match(model.lower().rpartition("/")[2]) is None
