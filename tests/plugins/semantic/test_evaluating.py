"""Pairs asked through a gateway."""

from __future__ import annotations

from llmproxy_semantic.evaluating import evaluate
from llmproxy_semantic.pairs import Pair

PAIRS = [
    Pair("What is DNS?", "what's dns", 1),
    Pair("What is DNS?", "What is TLS?", 0),
    Pair("What is DNS?", "What is DNS?", 1),
    Pair("What is TLS?", "What is DNS?", 0),
]


async def test_each_second_prompt_is_told_by_how_it_was_answered_and_no_pair_knows_another() -> None:
    served = await evaluate(PAIRS, {}, {"policy": "canonical"})

    assert [each.tier for each in served] == ["canonical", "", "hit", ""]
    assert [each.pair for each in served] == PAIRS
