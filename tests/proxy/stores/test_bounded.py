from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from llmproxy.stores import StoreAway
from llmproxy.stores.bounded import BoundedShelf
from llmproxy.stores.environment import Environment, Transaction
from llmproxy.stores.shelf import TABLES

MAP = 2 << 20


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    opened = Environment.acquire(tmp_path, MAP, TABLES)
    yield opened
    opened.release()


def used(env: Environment) -> int:
    with env.begin() as txn:
        return env.used(txn)


@pytest.mark.parametrize("largest", [60, 3000, 100_000])
def test_the_pages_used_stay_under_the_share_and_the_newest_stay(env: Environment, largest: int) -> None:
    shelf, random = BoundedShelf(env), Random(largest)
    written = 0
    while written < 3 * MAP:
        key, value = b"%09d" % written, b"x" * random.randrange(largest // 2, largest)
        shelf.write(lambda txn, key=key, value=value: shelf.put_within(txn, key, value, 0, 1))
        written += len(value) + 100

        assert used(env) <= MAP * 0.85

    with env.begin() as txn:
        assert shelf.find(txn, key, 1) == value
        assert shelf.find(txn, b"%09d" % 0, 1) is None
    assert used(env) >= MAP * 0.6


def test_what_is_over_goes_before_what_is_old(env: Environment) -> None:
    shelf = BoundedShelf(env)
    shelf.write(lambda txn: shelf.put_within(txn, b"old", b"v", 0, 1))
    for number in range(200):
        shelf.write(lambda txn, key=b"%d" % number: shelf.put_within(txn, key, b"x" * 50_000, 20, 10))
        shelf.write(lambda txn: shelf.put_within(txn, b"tick", b"v", 0, 30))

    with env.begin() as txn:
        assert shelf.find(txn, b"old", 1) == b"v"
        assert txn.stat(env.tables[0])["entries"] <= 3


def test_a_value_over_an_eighth_of_the_map_is_not_kept(env: Environment) -> None:
    shelf = BoundedShelf(env)
    shelf.write(lambda txn: shelf.put_within(txn, b"k", b"old", 0, 1))

    assert shelf.write(lambda txn: shelf.put_within(txn, b"k", b"x" * (MAP // 8 + 1), 0, 1)) is False

    with env.begin() as txn:
        assert shelf.find(txn, b"k", 1) is None


def test_when_no_page_is_left_old_entries_make_place(env: Environment) -> None:
    shelf = BoundedShelf(env)

    def fill(txn: Transaction) -> None:
        for number in range(6_000):
            shelf.put(txn, b"%d" % number, b"x" * 100, 0)

    shelf.write(fill)
    shelf.write(lambda txn: shelf.put(txn, b"large", b"x" * (MAP // 2), 0))

    with env.begin() as txn:
        assert shelf.find(txn, b"large", 1) is not None


def test_what_never_fits_is_the_store_away(env: Environment) -> None:
    shelf = BoundedShelf(env)

    with pytest.raises(StoreAway, match="MDB_MAP_FULL"):
        shelf.write(lambda txn: shelf.put(txn, b"k", b"x" * (2 * MAP), 0))
