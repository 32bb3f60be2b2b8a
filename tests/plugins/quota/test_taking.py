from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from llmproxy.bus import Bus
from llmproxy.plugin import AccountScope, Runtime, StoreAway, reserving
from llmproxy.runtime import Gate, Services
from llmproxy.runtime import Runtime as RealRuntime
from llmproxy.stores.memory_reserving import MemoryReservations
from llmproxy.testing import make_process
from llmproxy_quota.book import Rule, rule_of
from llmproxy_quota.config import LimitConfig
from llmproxy_quota.portions import portion
from llmproxy_quota.taking import Meters, Taker


class Remote:
    """Limits behind a loop, which fail to settle so many times."""

    def __init__(self, failing: int) -> None:
        self.kept = MemoryReservations("memory://")
        self.failing = failing
        self.reserve = self.kept.reserve
        self.renewed = 0
        self.most = 0

    async def settle(self, claim: reserving.Claim, actual: Sequence[int]) -> bool:
        self.failing -= 1
        if self.failing >= 0:
            raise StoreAway("gone")
        return await self.kept.settle(claim, actual)

    async def renew(self, claims: Sequence[reserving.Claim]) -> int:
        self.renewed += len(claims)
        self.most = max(self.most, len(claims))
        return await self.kept.renew(claims)


def rule(at_most: int) -> Rule:
    config = msgspec.convert(
        {"name": "x", "counts": "tokens", "at_most": at_most, "window": "month"}, LimitConfig
    )
    return rule_of(config, AccountScope("tenant", "t"), b"k")


WANTS = (reserving.Want(rule(100).limit, 90),)


def runtime() -> Runtime:
    return RealRuntime("quota", make_process(), cast("Gate", None), Services())


async def test_a_store_that_was_away_is_settled_with_later() -> None:
    run, remote = runtime(), Remote(failing=1)
    taker = Taker(cast("Any", remote), 4, 30.0, run)
    hold = await taker.take(portion(b"t", [rule(100)], WANTS))
    taker.settle(hold, [10])
    taker.settle(hold, [99])
    async with asyncio.timeout(3):
        while run._tasks:
            await asyncio.sleep(0.01)

    assert (await taker.take(portion(b"t", [rule(100)], WANTS))).standings[0].left == 0
    await run.close()


async def test_what_is_held_is_renewed_until_it_is_settled() -> None:
    run, remote = runtime(), Remote(failing=0)
    taker = Taker(cast("Any", remote), 4, 0.03, run)
    hold = await taker.take(portion(b"t", [rule(100)], WANTS))
    run.spawn(taker.keep_alive(), name="keep-alive")
    await asyncio.sleep(0.1)
    renewed = remote.renewed
    taker.settle(hold, [1])
    await asyncio.sleep(0.1)

    assert renewed > 1
    assert remote.renewed <= renewed + 1
    assert hold.reservation(5.0, (80, 10)).taken[0].amount == 90
    assert hold.reservation(5.0, (80, 10)).output == 10
    await run.close()


async def test_many_calls_are_renewed_few_at_a_time() -> None:
    run, remote = runtime(), Remote(failing=0)
    taker = Taker(cast("Any", remote), 4, 0.03, run)
    wants = (reserving.Want(rule(1000).limit, 1),)
    for _ in range(450):
        await taker.take(portion(b"t", [rule(1000)], wants))
    run.spawn(taker.keep_alive(), name="keep-alive")
    async with asyncio.timeout(3):
        while remote.renewed < 450:
            await asyncio.sleep(0.01)

    assert remote.most == 200
    await run.close()


async def test_a_store_that_is_away_is_told_once_a_minute() -> None:
    run, now, told = runtime(), [0.0], list[tuple[str, Any]]()
    log = SimpleNamespace(error=lambda event, **fields: told.append((event, fields)))
    meters = Meters(
        cast("Any", SimpleNamespace(metrics=run.metrics, log=log, clock=SimpleNamespace(now=lambda: now[0])))
    )
    for at in (5.0, 6.0, 64.0, 65.0):
        now[0] = at
        meters.away("closed")

    assert told == [("quota_store_away", {"result": "closed"})] * 2


class Far(Remote):
    """Limits elsewhere, that answer when they are told to."""

    def __init__(self) -> None:
        super().__init__(failing=0)
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.reserve = self.answer

    async def answer(self, claim: reserving.Claim) -> reserving.Verdict:
        verdict = await self.kept.reserve(claim)
        self.asked.set()
        await self.answers.wait()
        return verdict


def among_workers(directory: Path) -> Runtime:
    run = runtime()
    run.bus = Bus(directory, 0)
    return run


async def left(taker: Taker) -> int:
    """Return what is left of the hundred."""
    return (await taker.look(b"t", [rule(100)]))[0].left


async def test_what_a_dead_worker_took_and_did_not_use_is_given_back_by_another(tmp_path: Path) -> None:
    far = Far()
    dead = Taker(cast("Any", far), 4, 30.0, among_workers(tmp_path))
    asking = asyncio.ensure_future(dead.take(portion(b"t", [rule(100)], WANTS)))
    await far.asked.wait()
    dead._notes.close(told=False)  # type: ignore[union-attr]  # as the system does when it is killed
    far.answers.set()
    other = Taker(cast("Any", far), 4, 30.0, among_workers(tmp_path))
    before = await left(other)
    other.take_over()
    await other.close()

    assert (before, await left(other)) == (10, 100)
    await asking


async def test_what_may_have_been_used_stays_taken(tmp_path: Path) -> None:
    far = Far()
    far.answers.set()
    dead = Taker(cast("Any", far), 4, 30.0, among_workers(tmp_path))
    dead.leaves(await dead.take(portion(b"t", [rule(100)], WANTS)))
    dead._notes.close(told=False)  # type: ignore[union-attr]
    other = Taker(cast("Any", far), 4, 30.0, among_workers(tmp_path))
    other.take_over()
    await other.close()

    assert await left(other) == 10


async def test_a_settlement_that_was_under_way_is_told_by_another(tmp_path: Path) -> None:
    far = Far()
    far.answers.set()
    run = among_workers(tmp_path)
    dead = Taker(cast("Any", far), 4, 30.0, run)
    hold = await dead.take(portion(b"t", [rule(100)], WANTS))
    far.failing = 10**9
    dead.settle(hold, [7])
    await asyncio.sleep(0.01)
    dead._notes.close(told=False)  # type: ignore[union-attr]
    await run.close()
    far.failing = 0
    other = Taker(cast("Any", far), 4, 30.0, among_workers(tmp_path))
    other.take_over()
    await other.close()

    assert await left(other) == 93


async def test_a_store_at_hand_needs_no_notes(tmp_path: Path) -> None:
    taker = Taker(MemoryReservations("memory://"), 4, 30.0, among_workers(tmp_path))
    await taker.take(portion(b"t", [rule(100)], WANTS))

    assert list(tmp_path.iterdir()) == []
    await taker.close()
