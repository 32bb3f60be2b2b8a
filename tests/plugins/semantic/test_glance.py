"""What a look at each word tells: never too little."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_semantic import canonical, glance, verbatim
from llmproxy_semantic.canonical import canonicalise

WORDS = (
    *(
        "hi,",
        "What",
        "what's",
        "the",
        "US",
        "us",
        "Turkey",
        "five",
        "hundred",
        "1,000",
        "percent",
        "20",
        "%",
        "colour",
    ),
    *(
        "actually",
        "is",
        "it",
        "can't",
        '"Don\'t"',
        "'a'",
        "`B`",
        "print(A)",
        "-L",
        "/etc",
        "Main.java",
        "A",
        "thanks",
    ),
    *(
        "please?",
        "you!",
        "letters",
        "in",
        "der",
        "ist",
        "caf\xe9",
        "\u201cNo\u201d",
        "\n",
        "\t",
        "a:",
        "b;",
        "=>",
        ".",
    ),
)


@given(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.text(max_size=40))
def test_a_form_is_the_one_that_it_is_where_every_rule_is_tried(text: str) -> None:
    with patch.object(canonical, "glance", lambda _: glance.ALL):
        thorough = canonicalise(text)

    assert canonicalise(text) == thorough


@given(st.from_regex(verbatim._OF_WORDS, fullmatch=True).filter(str.isascii))
def test_a_text_that_asks_about_words_has_such_a_word(text: str) -> None:
    assert glance.glance(text) & glance.WORDING


@given(st.from_regex(verbatim._CODE, fullmatch=True).filter(str.isascii))
def test_code_has_signs_of_it(text: str) -> None:
    assert glance.glance(text) & glance.CODE


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("how is it", glance.IS_ENGLISH),
        ("How", glance.IS_ENGLISH | glance.CAPITAL),
        ("caf\xe9", glance.ALL),
        ("twenty-five", glance.SAID),
        ("x" * 100, 0),
    ],
)
def test_a_text_tells_what_its_words_do(text: str, told: int) -> None:
    assert glance.glance(text) == told


def test_words_are_remembered_but_long_ones() -> None:
    glance._known.cache_clear()
    glance.glance("a b a " + "x" * 1000)

    assert glance._known.cache_info().currsize == 2
