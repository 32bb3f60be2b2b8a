from __future__ import annotations

import asyncio

import pytest

from llmproxy.stores import StoreAway
from llmproxy.stores.memory_counters import MemoryCounters


async def test_counters_refuse_rather_than_forget() -> None:
    counters = MemoryCounters("memory://", limit=2)
    await counters.increment(b"a", ttl=0.03)
    await counters.increment(b"b")

    with pytest.raises(StoreAway, match="holds 2 counters"):
        await counters.increment(b"c")
    assert await counters.increment(b"b") == 2

    await asyncio.sleep(0.05)
    assert await counters.increment(b"c") == 1
