"""Rows by partition, against a dict and a comparison with all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from llmproxy_semantic import shard
from llmproxy_semantic.index import BadVector, Index

DIMS = 70
PARTITIONS = st.sampled_from([b"one", b"one more", b"other"])
KEYS = st.integers(0, 40).map(lambda number: b"one key %d" % number)
SEEDS = st.integers(0, 60)


def vector(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(DIMS, dtype=np.float32)


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


class Searching(RuleBasedStateMachine):
    """An index, and what it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index()
        self.held: dict[bytes, dict[bytes, tuple[int, bytes]]] = {}
        self.patch = pytest.MonkeyPatch()

    @initialize(small=st.booleans())
    def few_rows_are_many(self, *, small: bool) -> None:
        if small:
            self.patch.setattr(shard, "BLOCK", 8)
            self.patch.setattr(shard, "EXACT", 4)
            self.patch.setattr(shard, "LIKELY", 24)

    @rule(partition=PARTITIONS, key=KEYS, seed=SEEDS, features=st.binary(max_size=3))
    def add(self, partition: bytes, key: bytes, seed: int, features: bytes) -> None:
        self.index.add(partition, key, vector(seed), features)
        self.held.setdefault(partition, {})[key] = seed, features

    @rule(partition=PARTITIONS, first=st.integers(0, 40), count=st.integers(1, 20))
    def add_many(self, partition: bytes, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.add(partition, b"one key %d" % number, number, b"m")

    @rule(partition=PARTITIONS, key=KEYS)
    def remove(self, partition: bytes, key: bytes) -> None:
        gone = self.held.get(partition, {}).pop(key, None)

        assert self.index.remove(partition, key) is (gone is not None)

    @rule(partition=PARTITIONS)
    def forget(self, partition: bytes) -> None:
        self.index.forget(partition)
        self.held.pop(partition, None)

    @rule(partition=PARTITIONS, seed=SEEDS, most=st.integers(1, 6))
    def search(self, partition: bytes, seed: int, most: int) -> None:
        rows = self.held.get(partition, {})
        found = self.index.nearest(partition, vector(seed), most)
        cosines = sorted((cosine(vector(seed), vector(of)) for of, _ in rows.values()), reverse=True)

        assert len(found) == min(most, len(rows)) == len({row.key for row in found})
        assert [row.similarity for row in found] == sorted((row.similarity for row in found), reverse=True)
        for row in found:
            of, features = rows[row.key]
            assert row.features == features
            assert abs(row.similarity - cosine(vector(seed), vector(of))) < 0.01
        if found and (cosines[0] > 0.99 or len(rows) <= shard.EXACT):
            assert found[0].similarity > cosines[0] - 0.01

    @invariant()
    def as_many_rows_as_there_should_be(self) -> None:
        assert len(self.index) == sum(map(len, self.held.values()))
        assert all((partition in self.index) == bool(rows) for partition, rows in self.held.items())
        assert (self.index.held == 0) == (len(self.index) == 0)

    def teardown(self) -> None:
        self.patch.undo()


Searching.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestSearching = Searching.TestCase


def test_the_partitions_asked_for_longest_ago_go_first() -> None:
    index = Index(limit=4 * 2100)
    for number in range(4):
        index.add(b"%d" % number, b"key", vector(number), b"")
    index.nearest(b"0", vector(0), 1)
    index.add(b"4", b"key", vector(4), b"f" * 1000)

    assert b"0" in index
    assert b"1" not in index
    assert index.dropped >= 1
    assert index.held <= 4 * 2100


def test_a_partition_that_fills_the_index_alone_stays_bounded() -> None:
    index = Index(limit=10_000)
    for number in range(500):
        index.add(b"p", b"%d" % number, vector(number), b"")

    assert index.held < 11_000
    assert index.nearest(b"p", vector(499), 1)[0].key == b"499"


def test_what_has_ended_goes_when_it_is_met() -> None:
    index = Index()
    index.add(b"p", b"key", vector(1), b"", 100.0)

    assert index.nearest(b"p", vector(1), 1, 99.0)[0].key == b"key"
    assert index.nearest(b"p", vector(1), 1, 100.0) == []
    assert b"p" not in index
    assert index.held == 0


def test_a_vector_that_is_refused_leaves_nothing() -> None:
    index = Index()
    with pytest.raises(BadVector):
        index.add(b"p", b"key", np.zeros(DIMS, np.float32), b"")

    assert b"p" not in index
    assert index.held == 0
    assert index.nearest(b"p", vector(1), 1) == []
