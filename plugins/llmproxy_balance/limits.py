"""Places that take so many requests at once, and no more: slots, leases of them, and the line of those that wait.

What the walk does:

    limits.gate(exchange, place)                # "" while there is a slot
    lease = limits.take(exchange, place)        # right before an attempt; None: another was quicker
    lease = await limits.room(exchange, places, deadline)   # where all are full: wait for one of them, `lease.place`
    lease.release()                             # when the attempt is over, however; again does no harm

Slots are an endpoint's, whatever pools lead there, and this worker's. One that becomes free is given to who waits for it
in the same step, so nobody who just came is quicker than the line.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Final, cast

from llmproxy.plugin import Clock, Endpoint, Exchange, GatewayError, Metrics, Place, Pool
from llmproxy_balance.limitsettings import QueueSettings
from llmproxy_balance.queueing import Line, Waiter

#: Seconds that a refused caller is told to stay away.
_SHORTEST: Final = 1.0
_LONGEST: Final = 30.0
#: What of the time between two slots the newest one makes.
_NEWEST: Final = 0.1


class Slots:
    """How many slots of each endpoint are taken, and the lines where somebody waits; outlives a generation."""

    __slots__ = ("lines", "taken")

    def __init__(self) -> None:
        self.taken: dict[Endpoint, int] = {}
        #: The one that is asked next stands first.
        self.lines: dict[_PoolLine, None] = {}

    def free(self, place: Place) -> bool:
        """Whether a place would take another request."""
        limit = place.settings.limit
        return limit is None or self.taken.get(_endpoint(place), 0) < limit

    def lease(self, place: Place) -> Lease:
        """Take a slot of a place that is free."""
        endpoint = _endpoint(place)
        self.taken[endpoint] = self.taken.get(endpoint, 0) + 1
        return Lease(place, self)

    def give_back(self, place: Place) -> None:
        """Free a slot, for who waits for it or else for who comes; its lease does so, once."""
        endpoint = _endpoint(place)
        left = self.taken[endpoint] - 1
        if left:
            self.taken[endpoint] = left
        else:
            del self.taken[endpoint]
        for line in list(self.lines):
            if line.offer():
                break


class Lease:
    """The right to one request in flight at a place; given back once, however often it is released."""

    __slots__ = ("_slots", "place")

    def __init__(self, place: Place, slots: Slots) -> None:
        self.place = place
        self._slots: Slots | None = slots

    def release(self) -> None:
        """Give it back."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.give_back(self.place)


class Limits:
    """The limits of places, and the line before each pool."""

    def __init__(
        self,
        settings: QueueSettings,
        clock: Clock,
        slots: Slots | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._slots = Slots() if slots is None else slots
        self._lines: dict[str, _PoolLine] = {}
        self._meters = None if metrics is None else _Meters(metrics)

    def concerns(self, place: Place) -> bool:
        """Whether a place has a limit."""
        return place.settings.limit is not None

    def gate(self, exchange: Exchange, place: Place) -> str:
        """Return "" while a place has a slot, else that it is full."""
        return "" if self._slots.free(place) else f"full, with {place.settings.limit} in flight"

    def take(self, exchange: Exchange, place: Place) -> Lease | None:
        """Take a slot; None if there is none any more."""
        if not self._slots.free(place):
            return None
        line = self._lines.get(_pool_name(exchange))
        if line is not None and line.line.strained and not len(line.line):
            line.line.relax()
        return self._slots.lease(place)

    async def room(self, exchange: Exchange, places: Sequence[Place], deadline: float = 0.0) -> Lease:
        """Wait for a slot of one of `places`; `deadline` is a time on the gateway's clock, 0 for none.

        Raises:
            GatewayError: 503, none came in time, or too many wait; with the seconds after which to try again.
        """
        free = next(filter(self._slots.free, places), None)
        if free is not None:
            return self._slots.lease(free)  # meanwhile
        name = _pool_name(exchange)
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = _PoolLine(name, self._settings, self._clock, self._slots, self._meters)
        held = Held(exchange.caller.tenant, self._clock.now(), deadline or math.inf, tuple(places))
        line.admit(held)
        try:
            lease = await held.answer
        except asyncio.CancelledError:
            line.forget(held)
            raise
        if lease is None:
            raise line.refusal()
        return lease


class Held(Waiter):
    """A request that waits for a slot at one of the places that it may go to."""

    __slots__ = ("answer", "places")

    def __init__(self, tenant: str, since: float, until: float, places: tuple[Place, ...]) -> None:
        super().__init__(tenant, since, until)
        self.places = places
        #: Its lease; None where it is told to go.
        self.answer: asyncio.Future[Lease | None] = asyncio.get_running_loop().create_future()


class _PoolLine:
    """The line before one pool, and the clock that moves it."""

    def __init__(
        self, name: str, settings: QueueSettings, clock: Clock, slots: Slots, meters: _Meters | None
    ) -> None:
        self.line: Line[Held] = Line(settings)
        self._name = name
        self._clock = clock
        self._slots = slots
        self._meters = meters
        self._timer: asyncio.TimerHandle | None = None
        self._served = 0.0
        self._gap = 0.0

    def admit(self, held: Held) -> None:
        """Let a request wait; one that has to go for it is told so."""
        gone = self.line.join(held, held.since)
        if gone is not None:
            self._tell(gone, None, "full")
        self._watch(held.since)

    def offer(self) -> bool:
        """Give a slot that is free to who is next, if somebody here may take it."""
        now = self._clock.now()
        held = self.line.serve(self._fits, now)
        if held is None:
            return False
        if self._served:
            self._gap += _NEWEST * (now - self._served - self._gap)
        self._served = now
        place = next(filter(self._slots.free, held.places))
        self._tell(held, self._slots.lease(place), "")
        self._slots.lines.pop(self, None)
        self._watch(now)  # as the last one
        return True

    def forget(self, held: Held) -> None:
        """Drop one that left, with the slot that it may have got meanwhile."""
        self.line.leave(held)
        self._show()
        answer = held.answer
        lease = answer.result() if answer.done() and not answer.cancelled() else None
        if lease is not None:
            lease.release()

    def refusal(self) -> GatewayError:
        """Return what a request is told that gets no slot."""
        wait = min(max(_SHORTEST, len(self.line) * self._gap), _LONGEST)
        message = (
            "Every place that could answer is busy, and none became free in time, or too many requests wait."
        )
        return GatewayError(503, "overloaded", message, retry_after=wait)

    def _fits(self, held: Held) -> bool:
        return not held.answer.done() and any(map(self._slots.free, held.places))

    def _tell(self, held: Held, lease: Lease | None, reason: str) -> None:
        if held.answer.done():
            return  # it has left, and only its task does not know yet
        held.answer.set_result(lease)
        if self._meters is not None:
            self._meters.tell(self._name, self._clock.now() - held.since, reason)

    def _watch(self, now: float) -> None:
        """Look again when somebody's time is over, as long as somebody waits."""
        self._show()
        if not len(self.line):
            self._slots.lines.pop(self, None)
            return
        self._slots.lines.setdefault(self)
        if self._timer is None:
            wait = max(0.001, self.line.due(now) - now)
            self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _show(self) -> None:
        if self._meters is not None:
            self._meters.show(self._name, len(self.line))

    def _tick(self) -> None:
        self._timer = None
        now = self._clock.now()
        for held in self.line.expire(now):
            self._tell(held, None, "stood" if self.line.strained else "late")
        self._watch(now)


class _Meters:
    """What operators see of the lines."""

    def __init__(self, metrics: Metrics) -> None:
        self._seconds = metrics.histogram(
            "llmproxy_queue_wait_seconds", "How long requests waited for a place that got one.", ("pool",)
        )
        self._refused = metrics.counter(
            "llmproxy_queue_refused_total",
            "Requests that got no place: the line was full, stood too long, or their own time was over.",
            ("pool", "reason"),
        )

        self._waiting = metrics.gauge("llmproxy_queue_waiting", "Requests that wait for a place.", ("pool",))

    def show(self, pool: str, waiting: int) -> None:
        self._waiting.labels(pool).set(waiting)

    def tell(self, pool: str, seconds: float, reason: str) -> None:
        if reason:
            self._refused.labels(pool, reason).inc()
        else:
            self._seconds.labels(pool).observe(seconds)


def _endpoint(place: Place) -> Endpoint:
    return cast("Endpoint", place.endpoint)  # a place with a limit is an upstream's


def _pool_name(exchange: Exchange) -> str:
    pool = exchange.endpoints
    return pool.name if isinstance(pool, Pool) else ""
