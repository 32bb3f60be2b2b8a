"""What no vector shows."""

from __future__ import annotations

import pytest

from llmproxy_semantic.unseen import (
    CAPITAL,
    accented,
    capital_words,
    signs_in,
    text_in,
    with_capitals_told,
)


def test_a_capital_makes_another_word() -> None:
    assert with_capitals_told("is SOAP a getName") == f"is soap{CAPITAL} a getname{CAPITAL}"
    assert capital_words([f"tips{CAPITAL}"], ["tip"])
    assert not capital_words([f"soap{CAPITAL}"], [f"soap{CAPITAL}", "dish"])


@pytest.mark.parametrize(
    ("form", "signs"),
    [
        ("what is dns?", []),
        ("is he home? yes", ["?"]),
        ("stop! why?", ["!"]),
        ("does \u2642 differ", ["\u2642"]),
        ("\xbfes \u201cno\u201d?", []),
    ],
)
def test_signs_are_told_but_those_that_shape_a_text(form: str, signs: list[str]) -> None:
    assert signs_in(form) == signs


def test_a_question_may_bring_a_text_along() -> None:
    assert text_in("sum it up: a b") == ": a b"
    assert text_in("sum it up") == ""


def test_words_in_other_letters_than_the_alphabets_are_told() -> None:
    assert accented(["a", "ma\xf1ana"])
    assert not accented([f"soap{CAPITAL}", "a1"])
