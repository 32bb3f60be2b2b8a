from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxy.stores.advancing import Advancing
from llmproxy.stores.lmdb_reserving import LmdbReservations
from llmproxy.stores.reserving import SECOND, Claim, Lease, Limit, Rate, Standing, Want, Window

from .reserved_model import Held, Model

#: In the middle of a month, in 2026.
START = 1_792_000_000 * SECOND
TTL = 10 * SECOND
RATE = Rate(b"rate", 1000, SECOND, 1500)
SLOW = Rate(b"slow", 2000, 60 * SECOND, 2000)
MONTH = Window(b"month", 3000, 0)
ROLLING = Window(b"rolling", 2500, SECOND // 10, keep=7)
LEASE = Lease(b"lease", 1200)
LIMITS: tuple[Limit, ...] = (RATE, SLOW, MONTH, ROLLING, LEASE)
#: What callers claim: of several limits at once, as keys and their tenants have them.
KINDS: tuple[tuple[Limit, ...], ...] = (
    (RATE, LEASE),
    (MONTH,),
    (SLOW,),
    (SLOW, ROLLING, LEASE),
    (MONTH, ROLLING),
)


@dataclass
class Host:
    """Workers that share limits, a clock that passes when told to, and what each call came to."""

    directory: Path
    now: int = START
    model: Model = field(default_factory=Model)
    timers: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    open: dict[bytes, tuple[int, Claim]] = field(default_factory=dict)
    alone: int = 0

    def __post_init__(self) -> None:
        self.stores: list[LmdbReservations] = []
        self.workers = [self.worker(), self.worker()]
        self.names = count()

    def worker(self) -> Advancing:
        store = LmdbReservations(self.directory, 1 << 20, clock=lambda: self.now)
        self.stores.append(store)
        return Advancing(
            store, lambda seconds, work: self.timers.append((self.now + int(seconds * 1e6), work))
        )

    def ask(self, worker: int, limits: tuple[Limit, ...], amount: int) -> bool:
        """Claim, and compare what is granted with what there is room for."""
        wants = tuple([Want(limit, amount if isinstance(limit, Window) else 1) for limit in limits])
        claim = Claim(b"%d" % next(self.names), b"acme", wants, TTL)
        verdict = run(self.workers[worker].reserve(claim))
        model = self.model
        if not verdict.granted:
            return False
        for want in wants:
            taken = model.used(want.limit, self.now) + model.size(want.limit, want.amount)
            assert taken <= model.room(want.limit), want.limit
        model.helds.append(Held(claim, self.now, self.now + 10**15, [want.amount for want in wants]))
        if claim.lasting:
            self.open[claim.id] = worker, claim
        return True

    def settle(self, at: int, share: float) -> None:
        """Settle one of the open claims at a share of what it took, or more."""
        name = list(self.open)[at % len(self.open)]
        worker, claim = self.open.pop(name)
        actual = [int(want.amount * share) if isinstance(want.limit, Window) else 1 for want in claim.wants]
        assert self.workers[worker].settle_nowait(claim, actual)
        assert self.model.settle(claim, actual, self.now)

    def kill(self, worker: int) -> None:
        """Let a worker end without a word: what it holds ends with its lease, as it was taken."""
        for claim in [claim for owner, claim in self.open.values() if owner == worker]:
            del self.open[claim.id]
            self.model.settle(claim, [want.amount for want in claim.wants], self.now)
            # What it has in flight stays taken until its lease has ended, which the model need not know.
        dead = self.workers[worker]
        self.timers = [timer for timer in self.timers if not belongs(timer[1], dead)]
        self.workers[worker] = self.worker()

    def let_pass(self, microseconds: int) -> None:
        """Let time pass; timers come when they are due, and no lease of the living ends."""
        until = self.now + microseconds
        for at, work in sorted(self.timers, key=lambda timer: timer[0]):
            if at <= until:
                self.now = max(self.now, at)
                work()
        self.timers = [timer for timer in self.timers if timer[0] > until]
        self.now = until

    def renew(self) -> None:
        for worker in range(len(self.workers)):
            claims = [claim for owner, claim in self.open.values() if owner == worker]
            run(self.workers[worker].renew(claims))

    def standing(self, limit: Limit) -> Standing:
        claim = Claim(b"look-%d" % next(self.names), b"acme", (Want(limit, 0),), 1)
        return run(self.stores[-1].reserve(claim)).standings[0]


def belongs(work: Callable[[], None], worker: Advancing) -> bool:
    return any(cell.cell_contents is worker for cell in work.__closure__ or ())


def run(work: Any) -> Any:
    """Do what never waits."""
    try:
        work.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waited")


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("ask"),
            st.integers(0, 1),
            st.sampled_from(KINDS),
            st.integers(0, 3),
            st.sampled_from((1, 9, 30, 200)),
        ),
        st.tuples(
            st.just("settle"), st.integers(0, 999), st.sampled_from((0, 0.5, 1, 2)), st.integers(1, 60)
        ),
        st.tuples(st.just("pass"), st.sampled_from((10, 9_000, 30_000, 60_000, 200_000, 900_000))),
        st.tuples(st.just("kill"), st.integers(0, 1)),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_what_is_handed_out_is_never_over_a_limit_and_comes_back_to_what_was_used(steps: list[Any]) -> None:
    play_on_a_host(steps)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_it_is_never_over_in_many_more_plays(steps: list[Any]) -> None:
    play_on_a_host(steps)


def play_on_a_host(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        host = Host(Path(directory))
        try:
            play(host, steps)
        finally:
            for store in host.stores:
                store.close()


def take_step(host: Host, step: Any) -> None:
    match step:
        case ("ask", worker, limits, amount, times):
            for _ in range(times):
                host.ask(worker, limits, amount)
                host.now += 50
        case ("settle", at, share, times):
            for _ in range(min(times, len(host.open))):
                host.settle(at, share)
        case ("pass", microseconds):
            host.let_pass(microseconds)
        case ("kill", worker):
            host.kill(worker)


def play(host: Host, steps: list[Any]) -> None:
    for step in steps:
        take_step(host, step)
        host.renew()
    while host.open:
        host.settle(0, 0.5)
    for worker in host.workers:
        worker.close()
    host.let_pass(TTL + SECOND)
    for _ in range(40):  # each look ends a bounded number of what a killed worker held
        host.standing(LEASE)
    for limit in (MONTH, LEASE):
        assert host.standing(limit).left == max(0, limit.limit - host.model.used(limit, host.now)), limit


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    for store in host.stores:
        store.close()


def ask_often(host: Host, worker: int, limits: tuple[Limit, ...], times: int) -> int:
    """Ask so many times, fast; return how often it was granted."""
    return sum(host.ask(worker, limits, 1) for _ in range(times))


def test_a_killed_worker_has_taken_what_its_calls_took_and_no_more(host: Host) -> None:
    ask_often(host, 0, (MONTH,), 20)
    before = host.standing(MONTH).left
    host.kill(0)
    host.let_pass(TTL + SECOND)

    assert before < MONTH.limit - 20
    assert host.standing(MONTH).left == MONTH.limit - 20


def test_what_is_used_late_of_a_rate_counts_from_then_on(host: Host) -> None:
    ask_often(host, 0, (RATE,), 10)
    host.now += 60_000  # its timer is late
    assert ask_often(host, 1, (RATE,), 1600) > 1400
    ask_often(host, 0, (RATE,), 30)


def test_what_nobody_used_of_a_rate_goes_back_in_time_or_not_at_all(host: Host) -> None:
    ask_often(host, 0, (SLOW,), 10)
    host.now += 5 * SECOND
    ask_often(host, 1, (SLOW,), 2100)
    host.workers[0].close()
    ask_often(host, 1, (SLOW,), 30)

    host.let_pass(30 * SECOND)
    ask_often(host, 0, (SLOW,), 10)
    before = host.standing(SLOW).left
    host.workers[0].close()
    assert host.standing(SLOW).left > before


async def test_most_claims_of_a_busy_caller_need_no_transaction(tmp_path: Path) -> None:
    kept = LmdbReservations(tmp_path, 1 << 20)
    written = 0
    write = kept._write

    def counted(work: Any) -> Any:
        nonlocal written
        written += 1
        return write(work)

    kept._write = counted  # type: ignore[method-assign]
    advancing = Advancing(kept)
    wants = (Want(Window(b"w", 10**6, 0), 3), Want(Lease(b"l", 1000), 1))
    with closing(kept):
        for number in range(500):
            claim = Claim(b"%d" % number, b"t", wants)
            assert (await advancing.reserve(claim)).granted
            assert await advancing.settle(claim, (2, 1))
        advancing.close()

    assert written < 60
    fresh = LmdbReservations(tmp_path, 1 << 20)
    with closing(fresh):
        verdict = await fresh.reserve(Claim(b"x", b"t", (Want(Window(b"w", 10**6, 0), 0),)))
    assert verdict.standings[0].left == 10**6 - 1000


async def test_what_is_not_used_goes_back_a_moment_later(tmp_path: Path) -> None:
    with closing(LmdbReservations(tmp_path, 1 << 20)) as kept:
        advancing = Advancing(kept)
        wants = (Want(Window(b"w", 10**6, 0), 3),)
        for number in range(20):
            await advancing.reserve(Claim(b"%d" % number, b"t", wants))
        before = await kept.reserve(Claim(b"x", b"t", (Want(wants[0].limit, 0),)))
        await asyncio.sleep(0.1)
        after = await kept.reserve(Claim(b"y", b"t", (Want(wants[0].limit, 0),)))

    assert before.standings[0].left < after.standings[0].left == 10**6 - 60
