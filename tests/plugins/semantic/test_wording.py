"""Tables of words: no two entries undo each other."""

from __future__ import annotations

from llmproxy_semantic.wording import CONTRACTIONS, FILLERS, NUMBERS, SCALES, SPELLINGS


def test_no_spelling_leads_to_another_one() -> None:
    assert [word for word in SPELLINGS.values() if word in SPELLINGS] == []


def test_no_contraction_is_a_word_of_its_own() -> None:
    words = {"its", "were", "wont", "cant", "hell", "shell", "well", "ill", "id", "lets", "wed", "shed"}

    assert words.isdisjoint(CONTRACTIONS)


def test_a_word_stands_in_one_table() -> None:
    tables = [CONTRACTIONS.keys(), NUMBERS.keys(), SCALES.keys(), SPELLINGS.keys(), FILLERS]

    assert sum(map(len, tables)) == len(set().union(*tables))


def test_numbers_are_what_they_say() -> None:
    assert [NUMBERS[word] for word in ("zero", "nineteen", "twenty", "ninety", "forty-two")] == [
        0,
        19,
        20,
        90,
        42,
    ]
