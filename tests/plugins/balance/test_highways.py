"""The way of nearly all requests: who may go it, what is counted there, and how it joins the walk where it fails."""

import asyncio

import pytest

from llmproxy.body import Body
from llmproxy.caching.fate import Pinned
from llmproxy.errors import GatewayError, UpstreamError
from llmproxy.exchange import Attempt, Endpoint
from llmproxy.messages import Reply, StoredReply
from llmproxy.pools import Pool, place_of
from llmproxy.testing import make_exchange
from llmproxy_balance import BalancePlugin
from llmproxy_balance.capabilities import CapabilityGate
from llmproxy_balance.config import BalanceConfig, BalanceRoute
from llmproxy_balance.facts import Facts
from llmproxy_balance.hedgesettings import HedgeSettings
from llmproxy_balance.highways import Highways
from llmproxy_balance.policies import Reordered
from llmproxy_balance.walking import Trail, trail_of

from .places import asking, nested, pool_of, target
from .walks import GOOD, Walk

BROKEN = Reply.json({"error": {"message": "No."}}, 500)
UNREACHABLE = UpstreamError("upstream_unreachable", "No.", phase="connect", sent=False)


class Escort:
    """Knows of one answer that held something, and of requests that `refer` to it."""

    def __init__(self):
        self.belonging = self.origins = self
        self.known, self.store = {}, None
        self.refer = False
        self.read_of = []

    def follows(self, pool):
        return True

    def concerns(self, exchange, pool, affinity):
        return self.refer

    def read(self, exchange, reply):
        self.read_of.append(reply)

    def after(self, exchange, pool, reply):
        self.read(exchange, reply)


class Drive(Walk):
    """A walk by highway, where there is one, by a plugin without a gateway."""

    def __init__(self, script, capable=None):
        super().__init__(script)
        self.watcher.began = lambda exchange: None
        self.escort = Escort()
        self.extras = (None, None)
        self.plugin = BalancePlugin("balance", BalanceConfig())
        self.plugin._walker, self.plugin._escort = self.walker, self.escort
        capable = capable or CapabilityGate(Facts())
        self.highways = Highways(self.walker, capable, self.escort, lambda exchange: self.extras)
        self.plugin._highways = self.highways

    def asked(self, pool, **known):
        exchange = make_exchange(**{"model": "m", "options": {"balance": BalanceRoute()}, **known})
        exchange.endpoints = pool
        return exchange

    async def __call__(self, pool, **known):
        self.exchange = self.asked(pool, **known)
        return await self.plugin.around_upstream(self.exchange, self.call_next)

    def in_flight(self, pool):
        return self.budget.active, sum(place.vitals.in_flight for place in pool.places)

    def counted(self):
        return {ended: times for ended, times in super().counted().items() if times}


async def test_a_good_answer_leaves_no_trail_of_its_own():
    pool, drive = pool_of(1, 1), Drive({"a": [GOOD]})

    assert await drive(pool) is GOOD
    assert not isinstance(drive.exchange.trail, Trail)
    assert drive.watcher.heard == [("a", None)]
    assert drive.counted() == {("a", "ok"): 1}
    assert drive.in_flight(pool) == (0, 0)


async def test_what_is_in_flight_is_counted_until_the_attempt_ends():
    pool, drive = pool_of(1, 1), Drive({"a": [GOOD]})
    inner, seen = drive.call_next, []

    async def looked_at(exchange):
        seen.append(drive.in_flight(pool))
        return await inner(exchange)

    drive.call_next = looked_at
    await drive(pool)

    assert seen == [(1, 1)]
    assert drive.in_flight(pool) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "kind"), [(BROKEN, "server"), (UNREACHABLE, "connect")], ids=["reply", "fault"]
)
async def test_where_the_first_place_fails_the_walk_goes_on(answer, kind):
    pool, drive = pool_of(1, 1, 1), Drive({"a": [answer], "b": [answer], "c": [GOOD]})

    assert await drive(pool) is GOOD
    assert drive.tried == ["a", "b", "c"]
    assert drive.watcher.heard == [("a", kind), ("b", kind), ("c", None)]
    assert drive.counted() == {("a", kind): 1, ("b", kind): 1, ("c", "ok"): 1}
    assert drive.in_flight(pool) == (0, 0)


async def test_who_waits_for_failures_is_not_the_first():
    pool = pool_of(target(model="a", name="a", after=["server"]), target(model="b", name="b"))
    drive = Drive({"a": [GOOD], "b": [BROKEN]})

    assert await drive(pool) is GOOD
    assert drive.tried == ["b", "a"]


@pytest.mark.parametrize("end", [GatewayError(502, "attempts_spent", "No."), asyncio.CancelledError()])
async def test_what_never_became_an_attempt_is_not_in_flight(end):
    pool, drive = pool_of(1, 1), Drive({"a": [GOOD]})

    async def refuse(exchange):
        raise end

    drive.call_next = refuse
    with pytest.raises(type(end)):
        await drive(pool)

    assert drive.in_flight(pool) == (0, 0)
    assert drive.counted() == {}


async def test_an_answer_without_an_attempt_is_not_in_flight():
    pool, drive = pool_of(1, 1), Drive({"a": [GOOD]})

    async def answer(exchange):
        return GOOD

    drive.call_next = answer

    assert await drive(pool) is GOOD
    assert drive.in_flight(pool) == (0, 0)


async def test_a_stream_that_is_cut_after_its_beginning_is_heard_of():
    pool, drive = pool_of(1, 1), Drive({"a": [GOOD]})

    async def begin(exchange):
        exchange.attempts.append(Attempt(1, exchange.endpoint, 1.0, status=200))
        return Reply(200, body=Body())

    drive.call_next = begin
    await drive(pool)
    attempt = drive.exchange.attempts[0]
    attempt.ended, attempt.error = 2.0, UpstreamError("upstream_reset", "No.", phase="body", sent=True)
    drive.plugin.attempt_done(drive.exchange, attempt)

    assert drive.watcher.heard == [("a", "cut")]
    assert drive.in_flight(pool) == (0, 0)


async def test_a_caller_who_leaves_while_an_error_comes_says_nothing_of_the_place():
    pool, drive = pool_of(1, 1), Drive({"a": [GOOD]})
    unclaimed = []
    drive.watcher.unclaim = unclaimed.append

    async def left(exchange):
        attempt = Attempt(1, exchange.endpoint, 1.0, status=500, ended=2.0, error=asyncio.CancelledError())
        exchange.attempts.append(attempt)
        drive.plugin.attempt_done(exchange, attempt)
        raise asyncio.CancelledError

    drive.call_next = left
    with pytest.raises(asyncio.CancelledError):
        await drive(pool)

    assert drive.watcher.heard == []
    assert unclaimed == [pool[0]]
    assert drive.in_flight(pool) == (0, 0)


async def test_attempts_of_plugins_below_are_not_the_stops():
    pool, drive = pool_of(1, 1), Drive({"a": [GOOD]})
    inner = drive.call_next

    async def twice(exchange):
        await inner(exchange)
        return await inner(exchange)

    drive.call_next = twice
    await drive(pool)

    assert drive.counted() == {("a", "ok"): 1}
    assert drive.in_flight(pool) == (0, 0)


async def test_what_was_tried_can_be_told_afterwards():
    pool, drive = pool_of(1, 1), Drive({"a": [GOOD]})
    await drive(pool)
    trail = trail_of(drive.exchange)

    assert trail.taken[1].place is pool.places[0]
    assert trail.taken[1].over
    assert trail_of(drive.exchange) is trail


@pytest.mark.parametrize(
    "pool",
    [
        pool_of(1, target(model="b", when='model == "m"')),
        pool_of(1, target(model="b", limit=3)),
        nested("outer", pool_of(1), pool_of(1)),
        pool_of(target(model="b", after=["server"])),
        Pool.of("empty", ()),
        pool_of(1)[:],
    ],
    ids=["when", "limit", "nested", "after", "empty", "no pool"],
)
def test_a_pool_that_has_to_be_asked_about_has_no_highway(pool):
    drive = Drive({})

    assert drive.highways.start(drive.asked(pool)) is None


def test_a_route_that_wants_more_has_none():
    drive, pool = Drive({}), pool_of(1, 1)
    drive.extras = (HedgeSettings(), None)

    assert drive.highways.start(drive.asked(pool)) is None


def _tried(exchange):
    exchange.attempts.append(Attempt(1, Endpoint("a"), 0.0))


def _pinned(exchange):
    exchange.pinned = Pinned(StoredReply(200, [], b""))


def _uploads(exchange):
    exchange.upload = Body()


@pytest.mark.parametrize("change", [_tried, _pinned, _uploads])
def test_an_exchange_that_is_not_as_others_does_not_go_there(change):
    drive = Drive({})
    drive.escort.known = {b"digest": "up"}
    exchange = drive.asked(pool_of(1, 1))
    change(exchange)

    assert drive.highways.start(exchange) is None


def test_who_says_how_long_he_waits_does_not_go_there():
    drive = Drive({})

    assert drive.highways.start(drive.asked(pool_of(1), headers={"x-llmproxy-timeout": "2s"})) is None


def test_who_may_refer_to_what_another_made_does_not_go_there():
    drive, pool = Drive({}), pool_of(1, 1)
    drive.escort.refer = True

    assert drive.highways.start(drive.asked(pool)) is not None

    drive.escort.known = {b"digest": "up"}

    assert drive.highways.start(drive.asked(pool)) is None

    drive.escort.refer = False

    assert drive.highways.start(drive.asked(pool)) is not None


def test_while_somebody_is_not_well_nobody_goes_there():
    drive, pool = Drive({}), pool_of(1, 1)
    drive.highways._ailing = {pool[0]: None}

    assert drive.highways.start(drive.asked(pool)) is None


def test_a_place_that_came_is_on_the_highway():
    drive, pool = Drive({}), pool_of(1)
    drive.highways.start(drive.asked(pool))
    came = place_of(target(model="z", name="z"))
    pool.places = (came,)
    stop, rest = drive.highways.start(drive.asked(pool))

    assert stop.place is came
    assert list(rest) == []


def test_a_place_whose_record_was_begun_anew_counts_in_the_new_one():
    drive, pool = Drive({}), pool_of(1)
    before, _ = drive.highways.start(drive.asked(pool))
    place = pool.places[0]
    place.vitals = type(place.vitals)()
    drive.highways.start(drive.asked(pool))

    assert (before.vitals.in_flight, place.vitals.in_flight) == (1, 1)


def test_a_pool_of_two_routes_has_a_highway_for_each():
    drive, pool = Drive({}), pool_of(1)
    one, other = drive.asked(pool), drive.asked(pool)
    other.route.name = "other"

    assert drive.highways.start(one) is not None

    drive.extras = (HedgeSettings(), None)

    assert drive.highways.start(other) is None


def test_a_pool_in_another_order_has_a_highway_of_its_own():
    class Backwards:
        def order(self, exchange, places):
            return places[::-1]

    drive, pool = Drive({}), pool_of(1, 1)
    other = Reordered.by(pool, Backwards())
    chosen = [drive.highways.start(drive.asked(each))[0].place.name for each in (pool, other, pool, other)]

    assert chosen == ["a", "b", "a", "b"]


def test_a_request_that_one_of_the_places_cannot_answer_does_not_go_there():
    drive = Drive({})
    pool = pool_of(1, target(model="b", capabilities={"tools": False}))
    plain, special = asking("Hi."), asking("Hi.", tools=[{"type": "function", "function": {"name": "f"}}])
    plain.endpoints = special.endpoints = pool
    plain.route.options = special.route.options = {"balance": BalanceRoute()}

    assert drive.highways.start(plain) is not None
    assert drive.highways.start(special) is None


def test_bodies_that_any_model_reads_are_looked_at_once():
    asked = []

    class Capable:
        def __call__(self, exchange, place):
            asked.append(len(exchange.body_at_hand))
            return ""

        def room(self, exchange, place):
            return 300

    drive, pool = Drive({}, capable=Capable()), pool_of(1)
    route = drive.asked(pool).route
    for size in (10, 100, 300, 900, 900):
        exchange = drive.asked(pool, body=b"x" * size)
        exchange.route = route
        assert exchange.take_body()
        assert drive.highways.start(exchange) is not None

    assert asked == [10, 900, 900]
