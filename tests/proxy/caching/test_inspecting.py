from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from llmproxy.caching.board import Board, Verdict, slot_of
from llmproxy.caching.entry import Entry
from llmproxy.caching.inspecting import inspect_key
from llmproxy.caching.space import CacheSpace
from llmproxy.metrics import Metrics
from llmproxy.stores import StoreAway
from llmproxy.stores.memory import MemoryStore

TAG = slot_of("tag", "a")
KEY = b"k"


@pytest.fixture
def space() -> CacheSpace:
    store: Any = SimpleNamespace(near=MemoryStore(), far=MemoryStore())
    return CacheSpace("main", store, Board(), Metrics())


async def keep(space: CacheSpace, body: bytes = b"old") -> None:
    await space.put(KEY, Entry(200, b"", body, mark=space.now(), slots=[TAG]), 60)


async def test_nothing_is_found_where_nothing_is(space: CacheSpace) -> None:
    assert await inspect_key(space, KEY) is None


@pytest.mark.parametrize(("soft", "verdict"), [(True, Verdict.SOFT), (False, Verdict.PURGED)])
async def test_what_was_purged_is_told_as_purged(space: CacheSpace, soft: bool, verdict: Verdict) -> None:
    await keep(space)
    await space.purge([TAG], soft=soft)
    found = await inspect_key(space, KEY)

    assert found is not None
    assert (found.tier, found.verdict) == ("near", verdict)


async def test_a_newer_one_behind_a_purged_one_counts(space: CacheSpace) -> None:
    await keep(space)
    old = await space.tiers["near"].get(KEY)
    await space.purge([TAG])
    await keep(space, b"new")
    assert old is not None
    await space.tiers["near"].set(KEY, old)
    found = await inspect_key(space, KEY)

    assert found is not None
    assert (found.tier, bytes(found.entry.body)) == ("far", b"new")


def failing(fault: Exception) -> Callable[..., Any]:
    async def get(key: bytes) -> bytes:
        raise fault

    return get


async def test_a_store_that_fails_or_is_damaged_has_nothing(
    space: CacheSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    await space.tiers["near"].set(KEY, b"no entry")
    monkeypatch.setattr(space.tiers["far"], "get", failing(StoreAway()))

    assert await inspect_key(space, KEY) is None
