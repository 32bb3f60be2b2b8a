"""What the forms of a word share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_semantic.stemming import ending, stem


@pytest.mark.parametrize(
    "forms",
    [
        "walk walks walked walking",
        "improve improves improved improving",
        "like likes liked liking",
        "notice notices noticed noticing",
        "help helps helped helping",
        "abandon abandons abandoned abandoning",
        "stop stops stopped stopping",
        "city cities",
        "box boxes",
        "write writes wrote written writing",
        "child children",
        "study studies studied studying",
    ],
)
def test_forms_of_a_word_have_one_stem(forms: str) -> None:
    assert len(set(map(stem, forms.split()))) == 1


@pytest.mark.parametrize(
    "words",
    [
        "cheap cheaper cheapest",
        "use useless useful",
        "hard hardly",
        "bus bu",
        "thing th",
        "plane plan",
        "party part",
        "news new",
    ],
)
def test_other_words_have_other_stems(words: str) -> None:
    assert len(set(map(stem, words.split()))) == len(words.split())


@given(st.text(max_size=12))
def test_any_word_has_a_stem(word: str) -> None:
    assert bool(stem(word)) == bool(word)


@pytest.mark.parametrize(
    ("word", "end"), [("walks", ""), ("walked", "d"), ("ran", "d"), ("walking", "g"), ("need", "")]
)
def test_an_ending_tells_what_is_past_and_what_goes_on(word: str, end: str) -> None:
    assert ending(word) == end
