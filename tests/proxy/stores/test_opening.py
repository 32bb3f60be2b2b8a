from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmproxy.stores import SCHEMES, StoreUrl, make_store, open_store
from llmproxy.stores.memory import MemoryStore


@pytest.mark.parametrize(
    ("url", "engine"),
    [
        ("memory:", "memory"),
        ("lmdb:///tmp/nowhere", "lmdb"),
        ("redis://host", "redis"),
        ("rediss://host:1/2", "redis"),
        ("valkey://", "redis"),
        ("valkeys://host", "redis"),
        ("redis+unix:///run/redis.sock?db=2", "redis"),
        ("valkey+unix:///run/valkey.sock", "redis"),
        ("memcached://host:1?prefix=a", "memcached"),
        ("aiocache://aiocache.SimpleMemoryCache", "aiocache"),
    ],
)
def test_each_scheme_makes_its_store_without_touching_anything(url: str, engine: str) -> None:
    assert engine == make_store(url).NAME  # type: ignore[attr-defined]  # aiocache's class attribute


def test_an_unknown_scheme_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="no store has the scheme redi://; did you mean"):
        make_store("redi://user:hunter2@host")


def test_a_scheme_like_no_other_lists_what_is_known() -> None:
    with pytest.raises(ValueError, match="known: aiocache, lmdb, memcached, memory"):
        make_store("qqq://host")


def test_a_plugins_scheme_is_used_like_ours() -> None:
    made: list[StoreUrl] = []

    def make(url: StoreUrl) -> MemoryStore:
        made.append(url)
        return MemoryStore(str(url))

    store = open_store("mine://host?size=1", {**SCHEMES, "mine": make})

    assert repr(store) == "<MemoryStore mine://host>"
    assert made[0].options == {"size": "1"}


async def test_opening_opens(tmp_path: Path) -> None:
    store = open_store(f"lmdb:{tmp_path}/cache")

    assert (tmp_path / "cache" / "cache" / "data.mdb").exists()
    await store.close()


def test_naming_stores_imports_no_engine() -> None:
    code = "import sys, llmproxy.stores; print(sorted({'aiocache', 'redis', 'lmdb'} & set(sys.modules)))"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )

    assert done.stdout.strip() == b"[]"
