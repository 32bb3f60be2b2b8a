"""Thresholds out of labelled pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.formats import parse
from llmproxy_semantic.calibrating import Met, calibrated, met, written
from llmproxy_semantic.certifying import upper
from llmproxy_semantic.embedder import TooLong
from llmproxy_semantic.pairs import Pair
from llmproxy_semantic.thresholds import NEVER

if TYPE_CHECKING:
    from llmproxy_semantic.embedder import Vector


class Letters:
    """Embeds by the letters of a text."""

    id, dims = "letters/1", 128

    def embed(self, text: str) -> Vector:
        if len(text) > 100:
            raise TooLong
        counts = np.bincount([min(ord(letter), 127) for letter in text], minlength=128).astype(np.float32)
        unit: Vector = counts / np.linalg.norm(counts)
        return unit


def pairs(rewordings: int, negatives: int) -> list[Pair]:
    return [Pair("a", "b", 1)] * rewordings + [Pair("a", "b", 0)] * negatives


def test_pairs_of_one_form_those_a_guard_objects_to_and_those_never_compared_are_left_out() -> None:
    given_ = [
        Pair("Why is the sky blue?", "hi, why is the sky blue", 1),
        Pair("Add 5 to 6", "Add 5 to 7", 0),
        Pair("What is the weather today?", "How is the weather today?", 0),
        Pair("Tell me of cats", "Tell me of cats" + " and cats" * 20, 0),
        Pair("Which food does a cat like?", "Which food do cats like to eat?", 1),
    ]
    found = list(met(given_, Letters()))

    assert [each.wrong for each in found] == [False]
    assert 0.9 < found[0].similarity < 1


def test_thresholds_go_as_low_as_what_is_wrong_allows() -> None:
    compared = [Met(0, 0.9, wrong=False), Met(0, 0.8, wrong=True), Met(0, 0.7, wrong=False)]
    found = calibrated("x", pairs(2, 400), compared, limit=0.01)

    assert 0.8 < found.cuts[0].least < 0.9
    assert (found.cuts[0].right, found.cuts[0].wrong) == (1, 0)
    assert found.bound <= 0.01


def test_pairs_too_few_for_the_promise_open_nothing() -> None:
    found = calibrated("x", pairs(2, 100), [Met(0, 0.99, wrong=False)], limit=0.01)

    assert {cut.least for cut in found.cuts} == {NEVER}
    assert found.bound > 0.01


def test_no_negatives_promise_nothing() -> None:
    found = calibrated("x", pairs(2, 0), [Met(0, 0.99, wrong=False)], limit=0.01)

    assert {cut.least for cut in found.cuts} == {NEVER}


@given(
    st.lists(st.builds(Met, st.integers(0, 2), st.floats(0, 1), st.booleans()), max_size=80),
    st.sampled_from([0.01, 0.05, 0.2]),
)
def test_the_bound_holds_whatever_the_pairs(compared: list[Met], limit: float) -> None:
    negatives = 100 + sum(each.wrong for each in compared)
    found = calibrated("x", pairs(80, negatives), compared, limit=limit)
    wrong = sum(each.wrong and each.similarity >= found.cuts[each.tier].least for each in compared)

    assert wrong == sum(cut.wrong for cut in found.cuts)
    assert found.cuts[0].least == NEVER or upper(wrong, negatives, 0.05) <= limit + 1e-9


def test_what_is_written_is_configuration() -> None:
    found = calibrated("letters/1", pairs(2, 400), [Met(0, 0.9, wrong=False)], limit=0.01)
    tree = parse("\n".join(written(found)), "yaml", "thresholds")
    told = tree["plugins"]["semantic"]["thresholds"]

    assert told["embedder"] == "letters/1"
    assert told["tiers"] == pytest.approx([cut.least for cut in found.cuts])
