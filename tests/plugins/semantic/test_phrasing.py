"""One way to say a question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_semantic.phrasing import plainly


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("in go, how do i sort?", "how sort in go"),
        ("was the horse sold by ann?", "did ann sell the horse"),
        ("is ann liked by bob", "do bob like ann"),
        ("the 2009 prize was won by whom?", "whom won the 2009 prize"),
        ("which side effects does aspirin have?", "what is side effects of aspirin"),
        ("who do voters think is best?", "who is best according to voters"),
        ("write me a function in php", "write a php function"),
        ("is there any cure?", "is there cure"),
        ("what is the best way of making tea?", "what is the best way to make tea"),
        ("a phone for less than 200 euros", "a phone for under 200 euros"),
        ("do a few dogs bite", "do some dogs bite"),
        ("meet at 5 p.m.", "meet at 5 pmtime"),
    ],
)
def test_a_question_is_said_plainly(said: str, plain: str) -> None:
    assert " ".join(plainly(said).split()) == plain


@pytest.mark.parametrize(
    "ways",
    [
        [
            "how do i learn go",
            "how do you learn go",
            "how to learn go",
            "how can 1 learn go",
            "how can we learn go",
        ],
        ["how do i improve my english", "how can you improve your english", "how to improve your english"],
    ],
)
def test_who_is_to_go_a_way_says_nothing(ways: list[str]) -> None:
    assert len({" ".join(plainly(way).split()) for way in ways}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("how can i make you happy", "how can you make me happy"),
        ("how do people treat me", "how do people treat you"),
        ("how to make me laugh", "how to make you laugh"),
        ("how do i feel", "how do you feel"),
        ("was ann seen by bob", "was bob seen by ann"),
        ("do few dogs bite", "do a few dogs bite"),
        ("meet at 5 am", "meet at 5 pm"),
    ],
)
def test_what_differs_still_does(one: str, other: str) -> None:
    assert plainly(one) != plainly(other)


@given(st.text(max_size=200))
def test_any_text_is_said_somehow(text: str) -> None:
    assert isinstance(plainly(text), str)
