"""How much alike two questions must be, by how many of their words they share. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmproxy_semantic.guards import unmatched

if TYPE_CHECKING:
    from llmproxy_semantic.features import Features

#: The least cosine of two questions that share every word, lack words on one side, or on both. One word among many
#: hardly moves a vector, so that nearly nothing but a slip of the pen is let pass where words differ.
STRICT: Final[tuple[float, float, float]] = (0.94, 0.999, 0.995)


def tier_of(asked: Features, stored: Features) -> int:
    """Return 0 where two questions share every content word, 1 where one has more, 2 where each has others."""
    here, there = unmatched(asked, stored)
    return bool(here) + bool(there)
