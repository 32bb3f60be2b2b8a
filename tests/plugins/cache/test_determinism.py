"""Which answers may be kept."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy_cache.determinism import NEVER, Facts, why_not

CHAT = Facts(kind="chat")
COLD = Facts(kind="chat", temperature=0.0)


def asked(facts: Facts, *, sampled: bool = False, allow: Any = ()) -> str:
    return why_not(facts, sampled=sampled, allow=frozenset(allow))


def test_a_temperature_of_nought_that_was_written_settles_an_answer() -> None:
    assert asked(COLD) == ""
    assert asked(CHAT) == "sampled"
    assert asked(Facts(kind="chat", temperature=0.1)) == "sampled"


def test_what_follows_from_the_request_needs_no_temperature() -> None:
    assert asked(Facts(kind="embeddings", deterministic=True)) == ""


def test_a_drawn_answer_is_kept_where_the_route_says_so() -> None:
    assert asked(CHAT, sampled=True) == ""


@pytest.mark.parametrize("ground", ["references", "hosted-tools", "stored"])
def test_what_depends_on_more_needs_its_own_word(ground: Any) -> None:
    facts = Facts(kind="chat", temperature=0.0, grounds=frozenset({ground}))

    assert asked(facts, sampled=True) == ground
    assert asked(facts, allow=[ground]) == ""


@pytest.mark.parametrize("ground", sorted(NEVER))
def test_what_changes_something_is_never_kept(ground: Any) -> None:
    facts = Facts(kind="chat", temperature=0.0, grounds=frozenset({ground}))

    assert asked(facts, sampled=True, allow=["references", "hosted-tools", "stored", ground]) == ground


def test_the_gravest_ground_is_told() -> None:
    assert asked(Facts(kind="chat", grounds=frozenset({"hosted-tools", "state"}))) == "state"


def test_an_unknown_call_is_no_question_unless_the_route_says_so() -> None:
    assert asked(Facts(), sampled=True) == "unknown-call"
    assert asked(Facts(), allow=["unknown-calls"]) == ""
