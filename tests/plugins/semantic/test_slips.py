"""Slips of the pen, and words that look like some."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_semantic.canonical import canonicalise
from llmproxy_semantic.slips import mended


def of(text: str) -> str:
    return mended(text, canonicalise(text))


@pytest.mark.parametrize(
    ("slipped", "meant"),
    [
        ("Which documnets do I need?", "Which documents do I need?"),
        ("How are huricanes named?", "How are hurricanes named?"),
        ("What does a restuarant earn?", "What does a restaurant earn?"),
        ("Why is the alignmment off?", "Why is the alignment off?"),
        ("Is this considere dsmall?", "Is this considered small?"),
        ("What is the heighto nline?", "What is the height online?"),
    ],
)
def test_what_can_be_nothing_else_is_taken_for_what_is_meant(slipped: str, meant: str) -> None:
    assert of(slipped) == of(meant) == canonicalise(meant)


@pytest.mark.parametrize(
    "text",
    [
        "What is sodium sulfite?",  # letters that are changed, put in or left out may make another word
        "How do I lie prostrate?",
        "What is the immorality of it?",
        "What does a crooner do?",  # a short one
        "Why are they hopping?",
        "Is the article articled?",  # made of a word
        "Is Kristian Meier a nurse?",  # a name
        'What does "documnets" mean?',
        "Sum up the text: documnets are lost",
        "Wie lang ist das documnet?",
        "What is a sextant?",  # beside a word
        "Is it the slowest?",
    ],
)
def test_what_may_be_another_word_stays(text: str) -> None:
    assert of(text) == canonicalise(text)


@given(st.text(alphabet="abcdeghilmnorst ", max_size=80))
def test_what_was_mended_stays(text: str) -> None:
    once = mended(f"what is {text}", f"what is {text}")

    assert mended(once, once) == once
