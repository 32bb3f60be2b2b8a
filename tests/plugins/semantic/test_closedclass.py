"""Words of closed classes."""

from __future__ import annotations

from llmproxy_semantic.closedclass import SIGNS, SILENT, THIRD


def test_a_word_is_in_one_place_only() -> None:
    assert not SIGNS.keys() & SILENT
    assert not SIGNS.keys() & THIRD.keys()
    assert not SILENT & THIRD.keys()


def test_who_asks_whom_when_and_how_much_differ() -> None:
    for words in (
        "who what when where why how",
        "can should must may might will would",
        "all some most few many",
    ):
        signs = [SIGNS[word] for word in words.split()]

        assert len(set(signs)) == len(signs), words


def test_present_and_past_differ_and_number_does_not() -> None:
    assert SIGNS["is"] == SIGNS["are"] != SIGNS["was"] == SIGNS["were"]
    assert SIGNS["have"] == SIGNS["has"] != SIGNS["had"]
