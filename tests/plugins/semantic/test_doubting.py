"""Which guards are final where verification decides."""

from __future__ import annotations

import pytest

from llmproxy_semantic.doubting import DOUBTED, SOFT, standing
from llmproxy_semantic.features import features_of
from llmproxy_semantic.guards import GUARDS, objection
from llmproxy_semantic.verifying import LEADS, OFFLINE


def stands(asked: str, stored: str) -> int | str:
    return standing(features_of(asked), features_of(stored))


@pytest.mark.parametrize(
    ("asked", "stored", "guard"),
    [
        ("Add 5 to 6", "Add 5 to 7", "numbers"),
        ("Is tea healthy", "Is tea not healthy", "negation"),
        ("Can I delete `a.txt`", "May I delete `b.txt`", "verbatim"),
    ],
)
def test_another_number_a_not_and_another_file_rule_a_candidate_out(
    asked: str, stored: str, guard: str
) -> None:
    assert stands(asked, stored) == guard


def test_other_small_words_only_raise_a_doubt() -> None:
    assert stands("How do I cook rice", "What is the way to cook rice") == DOUBTED


def test_what_no_guard_objects_to_is_in_its_tier() -> None:
    assert stands("Which food does a cat like?", "Which food do cats like?") == 0
    assert stands("why is the sky blue?", "Why is the sky blue") == 0


def test_a_final_guard_counts_though_another_doubts_first() -> None:
    asked, stored = features_of("How do I cook 2 eggs"), features_of("What is the way to cook 3 eggs")

    assert objection(asked, stored) == "numbers"
    assert standing(asked, stored) == "numbers"


def test_soft_guards_are_guards() -> None:
    assert {name for name, _ in GUARDS} >= SOFT


def test_offline_nothing_that_is_doubted_is_served() -> None:
    assert OFFLINE[DOUBTED] > 1
    assert len(LEADS) == DOUBTED + 1
