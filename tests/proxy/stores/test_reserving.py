from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmproxy.stores import open_store
from llmproxy.stores.lmdb_reserving import LmdbReservations
from llmproxy.stores.memory_reserving import MemoryReservations
from llmproxy.stores.redis_reserving import RedisReservations
from llmproxy.stores.reserving import (
    MOST,
    NEVER,
    SECOND,
    Claim,
    Lease,
    Limit,
    Rate,
    Reservations,
    Standing,
    Want,
    Window,
    reservations_of,
    short,
)

from .reserved_model import Model

HOUR = 3600 * SECOND
DAY = 24 * HOUR
#: A minute before a month begins, in 2026.
START = 1_793_491_140 * SECOND

LIMITS: tuple[Limit, ...] = (
    Rate(b"rate", 7, SECOND, 3),
    Rate(b"slow", 3, 60 * SECOND, 10),
    Window(b"minute", 40, 60 * SECOND),
    Window(b"week", 120, 7 * DAY, 4 * DAY),
    Window(b"month", 90, 0),
    Window(b"rolling", 30, 10 * SECOND, keep=7),
    Lease(b"lease", 3),
)


class Time:
    """Microseconds that only pass when told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


ENGINES = ("memory", "lmdb", "valkey")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Callable[[Time], Any]:
    """Open limits of an engine, as a context manager."""
    name = request.param
    address = request.getfixturevalue("valkey_address") if name == "valkey" else ""

    @asynccontextmanager
    async def opened(time: Time) -> AsyncIterator[Reservations]:
        if name == "memory":
            yield MemoryReservations("memory://", clock=time)
        elif name == "lmdb":
            with tempfile.TemporaryDirectory() as directory:
                kept = LmdbReservations(Path(directory), 1 << 20, clock=time)
                with closing(kept):
                    yield kept
        else:
            store: Any = open_store(f"valkey://{address}/0?prefix={uuid4().hex}:&timeout=5s")
            try:
                yield RedisReservations(store, clock=time)
            finally:
                await store.close()

    return opened


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    limits = draw(st.lists(st.sampled_from(LIMITS), min_size=1, max_size=4, unique=True))
    wants = [
        Want(limit, draw(st.integers(0, 12)), draw(st.sampled_from(("hard", "hard", "soft", "shadow"))))
        for limit in limits
    ]
    number = draw(st.integers(0, 12))
    ttl = draw(st.sampled_from((SECOND, 30 * SECOND, HOUR)))
    return Claim(b"%d" % number, b"acme", tuple(wants), ttl, keeps=draw(st.booleans()))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), claims()),
        st.tuples(st.just("reserve"), claims()),
        st.tuples(
            st.just("settle"), st.integers(0, 12), st.lists(st.integers(0, 60), min_size=4, max_size=4)
        ),
        st.tuples(st.just("renew"), st.lists(st.integers(0, 12), max_size=4, unique=True)),
        st.tuples(
            st.just("pass"), st.one_of(st.integers(1, SECOND), st.integers(1, 90 * SECOND), st.just(DAY))
        ),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_every_engine_decides_as_the_model_does(engine: Callable[[Time], Any], steps: list[Any]) -> None:
    async def play() -> None:
        time, model = Time(), Model()
        known: dict[bytes, Claim] = {}
        async with engine(time) as kept:
            for step in steps:
                await take_step(step, time, model, known, kept)

    asyncio.run(play())


async def take_step(
    step: Any, time: Time, model: Model, known: dict[bytes, Claim], kept: Reservations
) -> None:
    """Take one step with the engine and with the model, and compare."""
    now = time.now
    match step:
        case ("pass", passed):
            time.now += passed
        case ("reserve", claim):
            # A name stands for one claim, as with callers.
            model.end(now)
            if model.find(claim) is not None:
                claim = known[claim.id]
            again = model.find(claim) is not None
            verdict = await kept.reserve(claim)
            assert verdict.granted == model.reserve(claim, now)
            if verdict.granted:
                known[claim.id] = claim
                for want, standing in zip(claim.wants, verdict.standings, strict=True):
                    over = model.room(want.limit) - model.used(want.limit, now)
                    unit = model.size(want.limit, 1)
                    if again or standing.ok:
                        assert standing.left == max(0, over) // unit
        case ("settle", number, actual) if (claim := known.get(b"%d" % number)) is not None:
            actual = actual[: len(claim.wants)]
            assert await kept.settle(claim, actual) == model.settle(claim, actual, now)
            assert not await kept.settle(claim, actual)
        case ("renew", numbers):
            some = [known[name] for number in numbers if (name := b"%d" % number) in known]
            assert await kept.renew(some) == model.renew(some, now)
        case _:
            pass


async def test_what_does_not_fit_says_how_long_to_wait_and_fits_then(engine: Callable[[Time], Any]) -> None:
    time = Time()
    async with engine(time) as kept:
        for number, limit in enumerate(LIMITS[:-1]):
            most = limit.burst if isinstance(limit, Rate) else limit.limit
            assert (await kept.reserve(claim_of(b"a%d" % number, limit, most))).granted
            verdict = await kept.reserve(claim_of(b"b%d" % number, limit, 1))

            assert not verdict.granted
            wait = verdict.standings[0].wait
            time.now += wait - 1
            assert not (await kept.reserve(claim_of(b"c%d" % number, limit, 1))).granted
            time.now += 1
            assert (await kept.reserve(claim_of(b"d%d" % number, limit, 1))).granted


async def test_what_can_never_fit_says_so(engine: Callable[[Time], Any]) -> None:
    async with engine(Time()) as kept:
        for limit in LIMITS[:-1]:
            verdict = await kept.reserve(claim_of(b"x", limit, 1000))

            assert (verdict.granted, verdict.standings[0].ok, verdict.standings[0].wait) == (
                False,
                False,
                NEVER,
            )


async def test_all_is_taken_or_nothing(engine: Callable[[Time], Any]) -> None:
    full, other = Window(b"full", 0, DAY), Window(b"other", 10, DAY)
    async with engine(Time()) as kept:
        assert not (await kept.reserve(Claim(b"x", b"t", (Want(other, 5), Want(full, 1))))).granted
        verdict = await kept.reserve(Claim(b"y", b"t", (Want(other, 10),)))

        assert verdict.granted
        assert verdict.standings == (Standing(True, 0, DAY - START % DAY),)


async def test_more_than_was_taken_is_recorded(engine: Callable[[Time], Any]) -> None:
    limit = Window(b"day", 10, DAY)
    async with engine(Time()) as kept:
        claim = claim_of(b"x", limit, 5)
        await kept.reserve(claim)
        assert await kept.settle(claim, [17])
        verdict = await kept.reserve(claim_of(b"y", limit, 0))

        assert verdict.standings[0].ok is False
        assert (await kept.reserve(Claim(b"z", b"t", (Want(limit, 0, "shadow"),)))).granted


async def test_tags_and_limits_share_nothing(engine: Callable[[Time], Any]) -> None:
    limit = Lease(b"1", 1)
    async with engine(Time()) as kept:
        for tag in (b"a", b"a}", b"a%7D", b"1:a", b"\x00\xff"):
            assert (await kept.reserve(Claim(b"x", tag, (Want(limit, 1),)))).granted
            assert not (await kept.reserve(Claim(b"y", tag, (Want(limit, 1),)))).granted


async def test_numbers_are_exact_up_to_the_most(engine: Callable[[Time], Any]) -> None:
    limit = Window(b"day", MOST - 1, DAY)
    async with engine(Time()) as kept:
        assert (await kept.reserve(claim_of(b"x", limit, MOST - 2))).standings[0].left == 1
        assert (await kept.reserve(claim_of(b"y", limit, 1))).granted
        assert not (await kept.reserve(claim_of(b"z", limit, 1))).granted


async def test_long_names_are_told_apart(engine: Callable[[Time], Any]) -> None:
    names = [short(b"x" * 300 + end) for end in (b"a", b"b")]
    async with engine(Time()) as kept:
        for name in names:
            claim = Claim(name, name, (Want(Lease(name, 1), 1),))
            assert (await kept.reserve(claim)).granted
        assert names[0] != names[1]
        assert max(map(len, names)) == 200


async def test_the_servers_own_clock_is_used_where_no_other_is_given(valkey_address: str) -> None:
    store: Any = open_store(f"valkey://{valkey_address}/0?prefix={uuid4().hex}:&timeout=5s")
    kept = reservations_of(store)
    assert kept is not None
    claim = claim_of(b"x", Lease(b"l", 1), 1)

    assert (await kept.reserve(claim._replace(ttl=50_000))).granted
    assert not (await kept.reserve(claim._replace(id=b"y"))).granted
    await asyncio.sleep(0.1)
    assert (await kept.reserve(claim._replace(id=b"z"))).granted
    await store.client.script_flush()
    assert await kept.settle(claim._replace(id=b"z"), [1])
    await store.close()


def claim_of(name: bytes, limit: Limit, amount: int) -> Claim:
    return Claim(name, b"t", (Want(limit, amount),))
