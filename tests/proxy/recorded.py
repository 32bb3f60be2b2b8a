"""The team's recorded traffic, read for tests of the core's own codecs and counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

_SHARED = Path(__file__).parents[3] / "shared"
_FOLDER = _SHARED / "data" / "wire"
TOOLS = _SHARED / "tools"

_PRESENT = _FOLDER.is_dir() and TOOLS.is_dir()


def needs_recordings(test: Any) -> Any:
    """Mark a test that reads recordings; it is skipped where there are none."""
    skip = pytest.mark.skipif(not _PRESENT, reason="the team's recordings are not beside the project")
    return pytest.mark.shared(skip(test))


def records(*providers: str) -> Iterator[dict[str, Any]]:
    """Give every recorded exchange, or those of some providers."""
    for path in sorted(_FOLDER.glob("*.jsonl")):
        if not providers or path.stem in providers:
            with path.open("rb") as lines:
                yield from map(orjson.loads, lines)
