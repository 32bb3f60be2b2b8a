from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.stores.environment import Environment, Transaction
from llmproxy.stores.shelf import TABLES, Shelf, ends_at, entry_size, shelf_key, shelf_prefix


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    opened = Environment.acquire(tmp_path, 1 << 20, TABLES)
    yield opened
    opened.release()


@pytest.fixture
def txn(env: Environment) -> Iterator[Transaction]:
    with env.begin(write=True) as opened:
        yield opened


@pytest.fixture
def shelf(env: Environment) -> Shelf:
    return Shelf(env)


def rows(env: Environment, txn: Transaction) -> list[int]:
    return [txn.stat(table)["entries"] for table in env.tables]


def test_an_entry_lives_until_its_end(shelf: Shelf, txn: Transaction) -> None:
    shelf.put(txn, b"k", b"v", ends_at(2, now=1_000_000))

    assert shelf.find(txn, b"k", 2_999_999) == b"v"
    assert shelf.find(txn, b"k", 3_000_000) is None
    assert shelf.find_with_end(txn, b"k", 5)[1] == 3_000_000


def test_no_row_is_left_of_what_is_replaced_or_removed(
    shelf: Shelf, txn: Transaction, env: Environment
) -> None:
    for ends in (0, 5, 9, 0):
        shelf.put(txn, b"k", b"v", ends)
    assert rows(env, txn) == [1, 1, 0]

    shelf.put(txn, b"k", b"v", 7)
    assert rows(env, txn) == [1, 1, 1]

    assert shelf.remove(txn, b"k") == entry_size(b"k", b"v") + 17
    assert shelf.remove(txn, b"k") == 0
    assert rows(env, txn) == [0, 0, 0]


def test_the_oldest_is_evicted_first(shelf: Shelf, txn: Transaction) -> None:
    for key in (b"z", b"a", b"m", b"z"):
        shelf.put(txn, key, b"v", 0)

    shelf.evict(txn, 1)

    assert [shelf.find(txn, key, 1) is None for key in (b"a", b"m", b"z")] == [True, False, False]


def test_eviction_stops_when_enough_is_gone(shelf: Shelf, txn: Transaction, env: Environment) -> None:
    for key in (b"a", b"b", b"c"):
        shelf.put(txn, key, b"x" * 1000, 0)

    shelf.evict(txn, 10, size=1001)
    assert rows(env, txn)[0] == 2

    shelf.evict(txn, 10, size=0)
    assert rows(env, txn)[0] == 2

    shelf.evict(txn, 10)
    assert rows(env, txn) == [0, 0, 0]


def test_what_is_over_is_swept_a_few_at_a_time(shelf: Shelf, txn: Transaction, env: Environment) -> None:
    for number in range(5):
        shelf.put(txn, b"%d" % number, b"v", 10 + number)
    shelf.put(txn, b"stays", b"v", 0)

    shelf.sweep(txn, 13, 2)
    assert rows(env, txn)[0] == 4

    shelf.sweep(txn, 13, 100)
    assert rows(env, txn) == [2, 2, 1]


def test_an_index_row_without_its_entry_is_dropped(shelf: Shelf, txn: Transaction, env: Environment) -> None:
    shelf.put(txn, b"k", b"v", 5)
    txn.delete(b"k", db=env.tables[0])

    shelf.evict(txn, 1)
    shelf.sweep(txn, 9, 1)

    assert rows(env, txn) == [0, 0, 0]


def test_an_entry_of_an_unknown_format_is_a_miss(shelf: Shelf, txn: Transaction, env: Environment) -> None:
    shelf.put(txn, b"k", b"v", 0)
    row = bytes(txn.get(b"k", db=env.tables[0]) or b"")
    txn.put(b"k", b"\xff" + row[1:], db=env.tables[0])

    assert shelf.find(txn, b"k", 1) is None


def test_a_prefix_is_removed_in_steps(shelf: Shelf, txn: Transaction) -> None:
    for key in (b"a", b"b1", b"b2", b"b3", b"c"):
        shelf.put(txn, key, b"v", 0)

    assert [shelf.remove_prefix(txn, b"b", 2) for _ in range(3)] == [2, 1, 0]

    assert shelf.find(txn, b"a", 1) == shelf.find(txn, b"c", 1) == b"v"


def test_dropping_removes_everything(shelf: Shelf, txn: Transaction, env: Environment) -> None:
    shelf.put(txn, b"k", b"v", 5)

    shelf.drop(txn)

    assert rows(env, txn) == [0, 0, 0]


LONG = st.builds(
    lambda body, tail: body * 100 + tail, st.binary(min_size=3, max_size=7), st.binary(max_size=3)
)


@given(LONG, LONG)
def test_long_keys_stay_apart_and_within_the_limit(one: bytes, other: bytes) -> None:
    assert (shelf_key(one) == shelf_key(other)) == (one == other)
    assert len(shelf_key(one)) <= 480


@given(LONG, st.binary(max_size=700))
def test_a_prefix_covers_every_key_under_it(prefix: bytes, rest: bytes) -> None:
    assert shelf_key(prefix + rest).startswith(shelf_prefix(prefix))
