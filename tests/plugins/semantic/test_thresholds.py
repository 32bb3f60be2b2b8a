"""Which thresholds an embedder's vectors are held to."""

from __future__ import annotations

from llmproxy_semantic.minilm import ID
from llmproxy_semantic.thresholds import Thresholds, cuts_for
from llmproxy_semantic.tiers import STRICT

OWN = Thresholds("openai/small/canonical-1", (0.9, 0.95, 0.97))


def test_the_embedder_that_was_measured_needs_none() -> None:
    assert cuts_for(ID, None) == STRICT


def test_another_embedder_without_thresholds_compares_nothing() -> None:
    assert cuts_for("openai/small/canonical-1", None) is None


def test_thresholds_hold_for_the_embedder_that_they_were_measured_with_and_for_no_other() -> None:
    assert cuts_for(OWN.embedder, OWN) == OWN.tiers
    assert cuts_for("openai/large/canonical-1", OWN) is None
    assert cuts_for(ID, OWN) is None
