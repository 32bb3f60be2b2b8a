"""Labelled pairs as they are read, and tallied."""

from __future__ import annotations

import orjson
import pytest

from llmproxy_semantic.pairs import BadPairs, Pair, Served, read_pairs, tallied


def line(**more: object) -> bytes:
    return orjson.dumps({"prompt_a": "a", "prompt_b": "b", "label": 1, **more})


def test_lines_are_pairs_and_empty_ones_are_passed_over() -> None:
    found = list(read_pairs([line(kind="case", extra=1), b"\n", line(label=0)]))

    assert found == [Pair("a", "b", 1, kind="case"), Pair("a", "b", 0)]


@pytest.mark.parametrize("bad", [b"{", b"[]", line(label=2), line(prompt_a=5), b'{"prompt_a": "a"}'])
def test_a_bad_line_is_told_by_its_number(bad: bytes) -> None:
    with pytest.raises(BadPairs, match=r"^line 2: "):
        list(read_pairs([line(), bad]))


def test_pairs_are_tallied_by_label_source_and_kind() -> None:
    served = [
        Served(Pair("a", "b", 1, "made", "case"), "canonical"),
        Served(Pair("a", "b", 1, "made", "typo"), ""),
        Served(Pair("a", "b", 1, "", "typo"), "hit"),
        Served(Pair("a", "b", 0, "made", "number"), ""),
    ]
    right, wrong = tallied(served, 1), tallied(served, 0)

    assert [(each.group, each.served, each.pairs) for each in right] == [
        ("all", 2, 3),
        ("source made", 1, 2),
        ("kind case", 1, 1),
        ("kind typo", 1, 2),
    ]
    assert right[0].tiers == {"canonical": 1, "hit": 1}
    assert wrong[0].share == 0.0
    assert wrong[0].bounds == (0.0, pytest.approx(0.975))


def test_of_no_pairs_there_is_no_share() -> None:
    (none,) = tallied([], 1)

    assert (none.share, none.bounds) == (0.0, (0.0, 1.0))
