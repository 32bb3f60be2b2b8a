from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from llmproxy.stores import open_store
from llmproxy.stores.redis_reserving import RedisReservations
from llmproxy.stores.reserving import SECOND, Claim, Lease, Want, Window


async def test_the_server_knows_every_month(valkey_address: str) -> None:
    now = 0
    store: Any = open_store(f"valkey://{valkey_address}/0?prefix={uuid4().hex}:&timeout=5s")
    kept = RedisReservations(store, clock=lambda: now)
    for year, month in ((1970, 1), (1999, 12), (2000, 2), (2024, 2), (2026, 11), (2100, 2), (2100, 12)):
        after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        now = int(after.timestamp()) * SECOND - 1
        verdict = await kept.reserve(Claim(b"x", b"t", (Want(Window(b"%d-%d" % (year, month), 5, 0), 0),)))

        assert verdict.standings[0].wait == 1
    await store.close()


async def test_what_has_ended_leaves_no_row(valkey_address: str) -> None:
    now = 0
    name = uuid4().hex
    store: Any = open_store(f"valkey://{valkey_address}/0?prefix={name}:&timeout=5s")
    kept = RedisReservations(store, clock=lambda: now)
    now = SECOND
    for number in range(50):
        wants = (Want(Lease(b"l%d" % number, 1), 1), Want(Window(b"w", 99, SECOND), 1))
        await kept.reserve(Claim(b"%d" % number, b"t", wants))
    now = 100 * SECOND
    for _ in range(5):
        await kept.settle(Claim(b"none", b"t", ()), ())

    assert await store.client.keys(f"{name}*") == []
    await store.close()
