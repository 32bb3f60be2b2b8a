"""What was judged wrong."""

from __future__ import annotations

from llmproxy_semantic.quarantine import Quarantine, Vetoes


def test_an_entry_that_was_wrong_twice_is_held_back_and_that_is_told_once() -> None:
    quarantine = Quarantine()
    told = [quarantine.strike(b"key") for _ in range(3)]

    assert told == [False, True, False]
    assert quarantine.holds(b"key")
    assert len(quarantine) == 1


def test_an_entry_that_was_wrong_once_is_served() -> None:
    quarantine = Quarantine()
    quarantine.strike(b"key")

    assert not quarantine.holds(b"key")


def test_another_answer_under_the_same_key_begins_anew() -> None:
    quarantine = Quarantine()
    quarantine.strike(b"key")
    quarantine.strike(b"key")
    quarantine.release(b"key")

    assert not quarantine.holds(b"key")


def test_the_entries_that_were_struck_longest_ago_are_forgotten() -> None:
    quarantine = Quarantine(most=2)
    for key in (b"a", b"b", b"a", b"c"):
        quarantine.strike(key)

    assert quarantine.holds(b"a")
    assert not quarantine.strike(b"b")


def test_a_pair_that_was_wrong_is_remembered_and_no_other_of_its_two() -> None:
    vetoes = Vetoes()
    vetoes.add(b"question", b"key")

    assert (b"question", b"key") in vetoes
    assert (b"question", b"other") not in vetoes
    assert (b"other", b"key") not in vetoes


def test_no_more_pairs_are_remembered_than_may_be() -> None:
    vetoes = Vetoes(most=3)
    for number in range(10):
        vetoes.add(b"%d" % number, b"key")

    assert len(vetoes) == 3
    assert (b"9", b"key") in vetoes
