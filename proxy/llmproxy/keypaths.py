"""Key paths as configuration errors write them: `routes[0].match.path`, `models["gpt-4.1"].upstream`."""

from __future__ import annotations

import re
from typing import Final

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def join_key(path: str, key: str) -> str:
    """Append a key to a path, quoted when it could be misread."""
    if not _PLAIN_KEY.fullmatch(key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def join_paths(path: str, rest: str) -> str:
    """Append a relative path to a path; either may be empty."""
    if not path or not rest:
        return path or rest
    return path + rest if rest.startswith("[") else f"{path}.{rest}"
