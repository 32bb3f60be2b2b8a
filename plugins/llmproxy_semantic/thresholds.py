"""How much alike two questions must be for an embedder's vectors: measured for that embedder, or nothing. Pure."""

from __future__ import annotations

from typing import Final

from llmproxy.plugin import Section
from llmproxy_semantic.tiers import STRICT

#: What no cosine reaches: a tier in which nothing may be served.
NEVER: Final = 2.0
#: The embedder that STRICT was measured with, by the begin of its id.
MEASURED: Final = "all-minilm-l6-v2-int8/"


class Thresholds(Section, frozen=True):
    """The least cosine of each tier, and the id of the embedder that it was measured with (`semantic calibrate`)."""

    embedder: str
    tiers: tuple[float, float, float]


def cuts_for(embedder: str, thresholds: Thresholds | None) -> tuple[float, float, float] | None:
    """Return the least cosine of each tier for an embedder; None if it was measured with another, or never."""
    if thresholds is not None:
        return thresholds.tiers if thresholds.embedder == embedder else None
    return STRICT if embedder.startswith(MEASURED) else None
