"""The name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def near(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like another one, if any is."""
    found = get_close_matches(name, list(known), n=1)
    return found[0] if found else None
