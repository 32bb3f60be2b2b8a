"""Classes of words, and opposites."""

from __future__ import annotations

from llmproxy_semantic.contrasts import CLASSES, OPPOSITES, PIVOTAL
from llmproxy_semantic.stemming import stem


def test_opposites_are_so_both_ways() -> None:
    assert all(word in OPPOSITES[other] for word, others in OPPOSITES.items() for other in others)


def test_no_word_is_its_own_opposite() -> None:
    assert [word for word, others in OPPOSITES.items() if word in others] == []


def test_a_class_has_several_members() -> None:
    numbers = [number for numbers in CLASSES.values() for number in numbers]

    assert all(numbers.count(number) > 1 for number in set(numbers))


def test_words_are_kept_by_their_stems() -> None:
    assert stem("kilometers") in CLASSES
    assert stem("uninstalling") in OPPOSITES
    assert stem("fake") in PIVOTAL
