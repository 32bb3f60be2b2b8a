"""Which questions are never matched by likeness."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import Asked
from llmproxy_semantic.eligibility import why_not
from llmproxy_semantic.features import features_of


def reason(
    question: str, rest: dict[str, Any] | None = None, temperature: float | None = None, **how: Any
) -> str:
    asked = Asked(b"p", question, rest or {}, temperature, settled=True)
    return why_not(asked, features_of(question), **how)


def test_a_plain_question_may_be_matched() -> None:
    assert reason("What is DNS?", {"n": 1, "logprobs": False, "tools": []}) == ""


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("word " * 61, "long"),
        ("Explain ```x = 1```", "code"),
        ("Translate this text into French", "outside"),
        ("Summarise the notes below", "outside"),
        ("What is the weather today?", "clock"),
        ("Who is the current king?", "clock"),
        ("?", "empty"),
    ],
)
def test_a_question_that_leans_on_something_else_is_not(question: str, why: str) -> None:
    assert reason(question) == why


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"n": 2}, "several"),
        ({"generationConfig": {"candidateCount": 3}}, "several"),
        ({"logprobs": True}, "chosen"),
        ({"seed": 0}, "chosen"),
        ({"options": {"seed": 7}}, "chosen"),
        ({"messages": [{"role": "tool", "content": "1"}, {"role": "user", "content": None}]}, "tools"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "media"),
        ({"contents": [{"parts": [{"inlineData": {}}]}]}, "media"),
    ],
)
def test_a_request_that_wants_more_than_an_answer_is_not(rest: dict[str, Any], why: str) -> None:
    assert reason("What is DNS?", rest) == why


def test_a_caller_who_wants_to_be_surprised_is() -> None:
    assert reason("What is DNS?", temperature=1.5) == "temperature"
    assert reason("What is DNS?", temperature=1.5, warmest=2.0) == ""
    assert reason("What is DNS?", temperature=0.2, warmest=0.0) == "temperature"


def test_what_is_kept_shortly_may_ask_of_today() -> None:
    assert reason("What is the weather today?", timely=True) == ""
