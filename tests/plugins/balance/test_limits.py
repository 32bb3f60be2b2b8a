"""Slots, and who waits for them: given back once, given on at once, whatever happens."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.metrics import Metrics
from llmproxy.plugin import Caller, Clock, GatewayError
from llmproxy.tasks import spawn
from llmproxy.testing import make_exchange
from llmproxy_balance.limits import Limits, Slots
from llmproxy_balance.limitsettings import QueueSettings

from .places import pool_of


class Hands(Clock):
    def __init__(self):
        self.time = 100.0
        self.now = lambda: self.time


POOL = pool_of(1, 1, limit=2)
OPEN = pool_of(1, name="open")


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def limits(clock, metrics):
    return Limits(QueueSettings(length=3, wait=5.0), clock, metrics=metrics)


def asking(tenant="t", pool=POOL):
    exchange = make_exchange(caller=Caller(tenant))
    exchange.endpoints = pool
    return exchange


def waits(limits, tenant="t", places=POOL.places, deadline=0.0, pool=POOL):
    return spawn(limits.room(asking(tenant, pool), places, deadline), name="waits")


async def settled():
    for _ in range(4):
        await asyncio.sleep(0)


def fill(limits, *places):
    return [limits.take(asking(), place) for place in places or (*POOL.places, *POOL.places)]


async def test_a_place_takes_as_many_as_its_limit_says(limits):
    first, second = POOL.places
    leases = fill(limits, first, first)

    assert limits.gate(asking(), first) == "full, with 2 in flight"
    assert limits.gate(asking(), second) == ""
    assert limits.take(asking(), first) is None
    leases[0].release()
    assert limits.gate(asking(), first) == ""


async def test_a_place_without_a_limit_concerns_nobody(limits):
    (place,) = OPEN.places

    assert not limits.concerns(place)
    assert limits.gate(asking(), place) == ""
    assert limits.concerns(POOL.places[0])


async def test_a_slot_is_given_back_once(limits):
    first = POOL.places[0]
    lease, _ = fill(limits, first, first)
    lease.release()
    lease.release()

    assert limits.take(asking(), first) is not None
    assert limits.take(asking(), first) is None


async def test_a_slot_goes_to_who_waits_and_to_nobody_who_just_came(limits):
    leases = fill(limits)
    waiting = waits(limits)
    await settled()
    leases[1].release()

    assert limits.take(asking(), POOL.places[1]) is None
    assert (await waiting).place is POOL.places[1]


async def test_who_waits_gets_the_best_of_his_places_that_is_free(limits):
    leases = fill(limits)
    both, second = waits(limits), waits(limits, places=POOL.places[1:])
    await settled()
    leases[0].release()
    leases[3].release()

    assert (await both).place is POOL.places[0]
    assert (await second).place is POOL.places[1]


async def test_a_slot_that_is_free_by_now_is_taken_at_once(limits):
    assert (await limits.room(asking(), POOL.places)).place is POOL.places[0]


async def test_tenants_take_turns(limits):
    leases = fill(limits)
    order = []

    async def wait(tenant):
        await limits.room(asking(tenant), POOL.places)
        order.append(tenant)

    tasks = [spawn(wait(tenant), name="waits") for tenant in "aab"]
    await settled()
    for lease in leases[:3]:
        lease.release()
        await settled()
    await asyncio.wait(tasks)

    assert order == ["a", "b", "a"]


async def test_one_too_many_is_told_at_once_when_to_come_back(limits, metrics):
    fill(limits)
    waiting = [waits(limits) for _ in range(3)]
    await settled()
    with pytest.raises(GatewayError) as told:
        await limits.room(asking(), POOL.places)

    assert (told.value.status, told.value.code, told.value.retry_after) == (503, "overloaded", 1.0)
    told = metrics.exposition([metrics.snapshot()])
    assert 'llmproxy_queue_waiting{pool="pool"} 3' in told
    assert 'refused_total{pool="pool",reason="full"} 1' in told
    for each in waiting:
        each.cancel()
    await settled()
    assert 'llmproxy_queue_waiting{pool="pool"} 0' in metrics.exposition([metrics.snapshot()])


async def test_nobody_waits_beyond_his_deadline(limits, clock):
    fill(limits)
    waiting = waits(limits, deadline=clock.time + 0.01)
    await settled()
    clock.time += 0.02
    with pytest.raises(GatewayError) as told:
        await waiting

    assert told.value.code == "overloaded"


async def test_who_leaves_gives_his_turn_to_the_next(limits):
    leases = fill(limits)
    first, second = waits(limits), waits(limits)
    await settled()
    first.cancel()
    leases[0].release()
    await settled()

    assert first.cancelled()
    assert (await second).place is POOL.places[0]
    assert limits.take(asking(), POOL.places[0]) is None


async def test_who_leaves_with_a_slot_just_got_gives_it_back(limits):
    leases = fill(limits)
    first, second = waits(limits), waits(limits)
    await settled()
    leases[0].release()
    first.cancel()
    await settled()

    assert first.cancelled()
    assert (await second).place is POOL.places[0]


async def test_the_slots_of_an_endpoint_are_the_same_for_all_pools_and_generations(clock):
    slots = Slots()
    old, new = (Limits(QueueSettings(), clock, slots) for _ in range(2))
    other = pool_of(1, 1, name="other", limit=2)
    leases = fill(old)
    waiting = waits(new, places=other.places, pool=other)
    await settled()
    assert new.gate(asking(), other.places[0]) == "full, with 2 in flight"
    leases[0].release()

    lease = await waiting
    for each in (*leases, lease):
        each.release()
    assert (slots.taken, slots.lines) == ({}, {})


async def test_pools_that_wait_for_one_endpoint_take_turns(clock):
    limits = Limits(QueueSettings(), clock)
    pools = [pool_of(1, name=name, limit=1) for name in ("one", "two")]
    lease = limits.take(asking(pool=pools[0]), pools[0].places[0])
    waiting = [waits(limits, places=pool.places, pool=pool) for pool in pools for _ in range(2)]
    order = []
    for _ in range(4):
        await settled()
        lease.release()
        await settled()
        lease = next(each for each in waiting if each.done() and each not in order)
        order.append(lease)
        lease = lease.result()

    assert [waiting.index(each) for each in order] == [0, 2, 1, 3]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 1)),
        st.tuples(st.just("wait"), st.sampled_from("ab"), st.integers(1, 3), st.sampled_from([0.0, 1.0])),
        st.tuples(st.just("release"), st.integers(0, 20)),
        st.tuples(st.just("leave"), st.integers(0, 20)),
        st.tuples(st.just("time"), st.sampled_from([0.05, 0.3, 2.0, 6.0])),
        st.tuples(st.just("turn")),
    ),
    max_size=60,
)


class Walk:
    """Requests at two places, and what has become of each."""

    def __init__(self):
        self.clock, self.slots = Hands(), Slots()
        self.limits = Limits(QueueSettings(length=3, wait=5.0), self.clock, self.slots)
        self.held = []
        self.waiting = []

    async def take(self, place):
        lease = self.limits.take(asking(), POOL.places[place])
        self.held += [lease] if lease else []

    async def wait(self, tenant, chosen, patience):
        places = [place for bit, place in enumerate(POOL.places) if chosen & 1 << bit]
        self.waiting.append(waits(self.limits, tenant, places, patience and self.clock.time + patience))

    async def release(self, which):
        if self.held:
            self.held.pop(which % len(self.held)).release()

    async def leave(self, which):
        if self.waiting:
            self.waiting[which % len(self.waiting)].cancel()

    async def time(self, seconds):
        self.clock.time += seconds
        for line in self.limits._lines.values():
            line._tick()

    async def turn(self):
        await settled()

    def collect(self):
        done = [each for each in self.waiting if each.done()]
        self.waiting = [each for each in self.waiting if not each.done()]
        self.held += [each.result() for each in done if not each.cancelled() and each.exception() is None]

    async def end(self):
        for task in self.waiting:
            task.cancel()
        await settled()
        self.collect()
        for lease in [*self.held, *self.held]:
            lease.release()


@given(STEPS)
def test_whatever_happens_slots_are_given_back_exactly_once(steps):
    asyncio.run(_walk(steps))


async def _walk(steps):
    walk = Walk()
    for kind, *known in steps:
        await getattr(walk, kind)(*known)
        walk.collect()

        assert all(count <= 2 for count in walk.slots.taken.values())
        assert sum(walk.slots.taken.values()) >= len(walk.held)
    await walk.end()

    assert walk.slots.taken == {}
    assert walk.waiting == []
    assert all(len(each.line) == 0 for each in walk.limits._lines.values())
