"""The rows of one partition."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from llmproxy_semantic import shard as module
from llmproxy_semantic.shard import BLOCK, EXACT, BadVector, Shard, signs_of, unit

PLENTY = 1_000_000


def vectors(count: int, dims: int = 96, seed: int = 1) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal((count, dims), dtype=np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def filled(rows: NDArray[np.float32]) -> Shard:
    shard = Shard(b"part", rows.shape[1])
    for number, row in enumerate(rows):
        shard.add(b"key %d" % number, row, b"f%d" % number, inf, PLENTY)
    return shard


def near(row: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    noise = vectors(1, row.size, seed)[0]
    return unit(np.float32(0.95) * row + np.float32(0.3) * noise)


@pytest.mark.parametrize("count", [1, 2, EXACT, EXACT + 1, 3000])
def test_the_nearest_row_is_found_with_its_cosine(count: int) -> None:
    rows = vectors(count)
    shard = filled(rows)
    wanted = [near(rows[number % count], number) for number in range(50)]
    found = [shard.nearest(each, 3, 0.0)[0] for each in wanted]
    cosines = [rows @ each for each in wanted]

    assert [each[0].key for each in found] == [b"key %d" % int(np.argmax(cos)) for cos in cosines]
    assert all(abs(each[0].similarity - cos.max()) < 0.002 for each, cos in zip(found, cosines, strict=True))
    assert all(len(each) == min(3, count) for each in found)


def test_rows_of_several_blocks_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 256)
    rows = vectors(1500)
    shard = filled(rows)

    assert [shard.nearest(rows[at], 1, 0.0)[0][0].key for at in (0, 255, 256, 1499)] == [
        b"key 0",
        b"key 255",
        b"key 256",
        b"key 1499",
    ]
    assert shard.remove(b"key 256")
    assert shard.nearest(rows[256], 1, 0.0)[0][0].key != b"key 256"
    assert shard.nearest(rows[1499], 1, 0.0)[0][0].key == b"key 1499"


def test_very_many_rows_with_the_same_signs_are_not_all_compared() -> None:
    shard = filled(np.repeat(vectors(1), 2000, axis=0))

    assert len(shard.nearest(vectors(1)[0], 5, 0.0)[0]) == 5


def test_a_full_partition_gives_up_one_row_for_another() -> None:
    shard = Shard(b"part", 96)
    rows = vectors(20)
    for number, row in enumerate(rows):
        shard.add(b"key %d" % number, row, b"", inf, 8)

    assert len(shard) == 8
    assert shard.nearest(rows[19], 1, 0.0)[0][0].key == b"key 19"


def test_what_is_held_is_given_back() -> None:
    shard = filled(vectors(10))
    empty = Shard(b"part", 96).held
    shard.add(b"key 3", vectors(1)[0], b"features that are longer", inf, PLENTY)
    for number in range(10):
        assert shard.remove(b"key %d" % number)

    assert not shard.remove(b"key 3")
    assert shard.held == empty


def test_rows_that_have_ended_are_not_found_and_told() -> None:
    shard = Shard(b"part", 96)
    rows = vectors(3)
    for number, row in enumerate(rows):
        shard.add(b"key %d" % number, row, b"", 100.0 + number, PLENTY)

    assert shard.nearest(rows[0], 3, 99.0)[0][0].key == b"key 0"
    found, ended = shard.nearest(rows[0], 3, 101.0)
    assert [row.key for row in found] == [b"key 2"]
    assert sorted(ended) == [b"key 0", b"key 1"]


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40))
def test_keys_and_features_come_back_as_they_were(partition: bytes, key: bytes, features: bytes) -> None:
    shard = Shard(partition, 3)
    shard.add(key, np.array([1, 2, 3], np.float32), features, inf, PLENTY)
    row = shard.nearest(np.array([1, 2, 3], np.float32), 1, 0.0)[0][0]

    assert (row.key, row.features) == (key, features)


@pytest.mark.parametrize("wrong", [[0.0] * 3, [np.nan] * 3, [np.inf, 0, 0], [[1.0, 0, 0]], [1.0, 2.0], []])
def test_a_vector_without_a_direction_or_of_another_size_is_refused(wrong: list[float]) -> None:
    shard = filled(vectors(2, 3))
    bad = np.array(wrong, np.float32)

    with pytest.raises(BadVector):
        shard.add(b"key", bad, b"", inf, PLENTY)
    with pytest.raises(BadVector):
        shard.nearest(bad, 1, 0.0)[0]
    assert len(shard) == 2


def test_signs_fill_whole_words() -> None:
    assert signs_of(np.array([1.0, -1.0, 1.0], np.float32)).tobytes() == b"\xa0" + bytes(7)
    assert signs_of(np.ones(65, np.float32)).size == 2
    assert BLOCK % 8 == 0
