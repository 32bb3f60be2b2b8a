"""Capitals that say something."""

from __future__ import annotations

import pytest

from llmproxy_semantic.lettercase import keep_where_case_counts


def kept(text: str) -> list[str]:
    words: list[str] = []
    keep_where_case_counts(text, lambda found: words.append(found.group()) or found.group())
    return words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What is SOAP?", ["SOAP"]),
        ("What is DNS?", []),
        ("Soap is made of fat", []),
        ("Is it Polish?", ["Polish"]),
        ("Polish the floor", []),
        ("Convert String to string", ["String", "string"]),
        ("Is 5 Mb less than 5 MB?", ["Mb", "MB"]),
        ("What does getName do on my iPhone?", ["getName"]),
        ("What is R, and who am I?", ["R"]),
        ("WHO IS THE US PRESIDENT?", []),
        ("WHO?", ["WHO"]),
        ("What is Co?", ["Co"]),
    ],
)
def test_words_are_kept_whose_capitals_say_something(text: str, words: list[str]) -> None:
    assert kept(text) == words
