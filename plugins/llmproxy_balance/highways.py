"""The way of nearly all requests: to the place that the pool's strategy names first, which answers well.

Theory of operation. What a line-up asks of each place, and an escort of each request, is mostly known beforehand: that
no target has a condition or a limit, that nobody is held to a place. It is found out once for a pool on a route, and
kept as a `Highway`; what is left to be asked of a request is asked by `start`. Whoever it is not for, or comes while
somebody is not well, goes the long way, by line-up and walk. Until something fails, the trail of a request is the
`Stop` of its place, which all requests share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import Body, Pool
from llmproxy_balance.detour import Detour
from llmproxy_balance.roll import NEWEST, Record
from llmproxy_balance.telling import TIMEOUT
from llmproxy_balance.walking import Taken, Trail

if TYPE_CHECKING:
    from llmproxy.plugin import Attempt, CallNext, Exchange, GatewayError, Place, Reply
    from llmproxy_balance.belongingsettings import AffinitySettings
    from llmproxy_balance.capabilities import CapabilityGate
    from llmproxy_balance.escorting import Escort
    from llmproxy_balance.hedgesettings import HedgeSettings
    from llmproxy_balance.walking import Walker

#: Names of models that are remembered for a pool: those may be a caller's own.
_MOST_MODELS: Final = 256

#: What a route says of a second attempt beside the first, and of who is held to a place.
ExtrasOf = Callable[["Exchange"], "tuple[HedgeSettings | None, AffinitySettings | None]"]

#: An exchange's stop, and who comes after it.
Start = tuple["Stop", "Iterator[Place]"]


class Stop:
    """A place on a highway, with what a good attempt there changes."""

    __slots__ = (
        "_ailing",
        "_answered",
        "_counter",
        "_failing",
        "_health",
        "_walker",
        "budget",
        "follows",
        "place",
        "pool",
        "vitals",
    )

    def __init__(self, walker: Walker, highway: Highway, place: Place) -> None:
        self._walker = walker
        self._answered = walker.watcher.answered
        self.budget = walker.budget
        self._counter = walker.meters.good(highway.pool, place)
        self.pool = highway.pool
        self.follows = highway.follows
        self.place = place
        self.vitals = vitals = place.vitals
        self._failing = walker.failing
        self._ailing = walker.watcher.ailing
        #: None where nobody watches.
        self._health = vitals.health if isinstance(vitals, Record) else None

    def done(self, exchange: Exchange, attempt: Attempt) -> None:
        """Account for an attempt that has ended; to be called from `attempt_done`."""
        if attempt.number != 1:
            return  # made by a plugin listed below
        if not attempt.complete or (attempt.status or 500) >= 400:
            self._unfold(exchange, over=False).done(exchange, attempt)
            return
        vitals = self.vitals
        vitals.in_flight -= 1
        self.budget.active -= 1
        self._counter.value += 1
        if self._failing:
            self._failing.discard(attempt.endpoint)
        if self._ailing or self._health is None:
            self._answered(self.place, attempt)
        else:  # the same where all are well, without the calls
            ended = attempt.ended or 0.0
            latency = (attempt.first_output_at or attempt.headers_at or ended) - attempt.started
            known = vitals.latency
            vitals.latency = latency if known is None else known + NEWEST * (latency - known)
            recent = self._health.recent
            if ended >= recent.until:
                recent.forget(ended)
            recent.row = 0
            recent.good += 1

    def unfold(self, exchange: Exchange) -> Trail:
        """Return a trail of the exchange's own, which takes the place of this one."""
        return self._unfold(exchange, over=bool(exchange.attempts) and exchange.attempts[0].ended is not None)

    def _unfold(self, exchange: Exchange, *, over: bool) -> Trail:
        trail = exchange.trail = Trail(self._walker, self.pool)
        trail.taken[1] = Taken(self.place, self.vitals, False, None, over)
        return trail

    def skip(self, exchange: Exchange) -> Trail:
        """Give back what was taken for the attempt, if none was made; return the exchange's own trail."""
        found = exchange.trail
        trail = found if isinstance(found, Trail) else self.unfold(exchange)
        if not exchange.attempts:
            self._walker.release(trail.taken[1])
        return trail

    async def go_on(
        self, exchange: Exchange, rest: Iterator[Place], outcome: Reply | GatewayError, call_next: CallNext
    ) -> Reply:
        """Go on after the attempt failed, or was refused; `rest` are the places that come after it.

        Raises:
            GatewayError: as `Walker.walk`.
        """
        walker, trail = self._walker, self.skip(exchange)
        try:
            order = walker.line_up.rest(exchange, self.pool, rest, trail.skipped)
            detour = Detour(walker, exchange, trail, order, walker.terms_of(exchange))
            attempt = exchange.attempts[0] if exchange.attempts else None
            return await detour.go(self.place, outcome, attempt, call_next)
        finally:
            trail.leave()

    def leave(self, exchange: Exchange) -> None:
        """Hear that the exchange is given up."""
        self.skip(exchange).leave()


class Highway:
    """A pool on a route; `clear` where nothing about it needs the long way."""

    __slots__ = ("clear", "follows", "name", "order", "places", "pool", "rooms", "stops")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        # What is asked for with each request is kept here: a pool, as a tuple, is slow to tell.
        self.name = pool.name
        self.places = pool.places
        self.order = pool.strategy.order
        #: Those that wait for no failure of others.
        self.stops: dict[Place, Stop] = {}
        self.clear = False
        #: Whether requests go back to the upstream that made what they refer to.
        self.follows = False
        #: Bytes of a body that any place takes, whatever is in it, by the model that is asked for.
        self.rooms: dict[str | None, int] = {}


class Highways:
    """The highways of one plugin instance.

    Args:
        walker: goes on where something fails.
        capable: knows which models cannot answer what.
        escort: knows who belongs somewhere.
        extras_of: tells how an exchange's route hedges, and whom it holds to places.
    """

    def __init__(
        self,
        walker: Walker,
        capable: CapabilityGate,
        escort: Escort,
        extras_of: ExtrasOf,
    ) -> None:
        self._walker = walker
        self._ailing = walker.watcher.ailing
        self._pools = walker.watcher.pools
        self._capable = capable
        self._escort = escort
        self._origins = escort.belonging.origins
        self._extras_of = extras_of

    def start(self, exchange: Exchange) -> Start | None:
        """Begin an exchange's first attempt, if it may go this way; return its stop, and who comes after it.

        The attempt counts as in flight from now on, until it is `done`, or left out by `skip`.
        """
        pool = exchange.endpoints
        if not isinstance(pool, Pool):
            return None
        places, body, origins = pool.places, exchange._body, self._origins
        highway: Highway | None = pool.kept.get(exchange.route.name)
        if highway is None or highway.places is not places:
            highway = self._survey(exchange, pool)
        if body is not None:
            size = len(body)
        elif isinstance(exchange.upload, Body):
            return None
        else:
            size = 0
        if (
            not highway.clear
            or self._ailing
            or self._pools.get(highway.name, places) is not places
            or (size > highway.rooms.get(exchange.model, -1) and not self._fits(highway, exchange))
            or exchange.attempts
            or exchange.pinned is not None
            or TIMEOUT in exchange.request.headers.index
            or (
                highway.follows
                and (origins.known or origins.store is not None)
                and self._escort.concerns(exchange, pool, None)
            )
        ):
            return None
        rest = iter(highway.order(exchange, places))
        for place in rest:
            if (stop := highway.stops.get(place)) is not None:
                break
        else:
            return None
        if stop.vitals is not place.vitals:  # its record was forgotten, and begun anew
            stop = highway.stops[place] = Stop(self._walker, highway, place)
        exchange.trail = stop
        exchange.endpoint = place.endpoint
        stop.vitals.in_flight += 1
        stop.budget.active += 1
        return stop, rest

    def _fits(self, highway: Highway, exchange: Exchange) -> bool:
        """Whether each place can answer a request; remember how long a body is of which that is certain."""
        rooms, places = highway.rooms, highway.stops
        if any(self._capable(exchange, place) for place in places):
            return False
        if len(rooms) >= _MOST_MODELS:
            rooms.clear()
        rooms[exchange.model] = min(self._capable.room(exchange, place) for place in places)
        return True

    def _survey(self, exchange: Exchange, pool: Pool) -> Highway:
        """Find out what a pool needs to be asked about."""
        self._walker.watcher.eligible(pool)  # its places are known from now on
        highway = pool.kept[exchange.route.name] = Highway(pool)
        highway.follows = self._escort.follows(pool)
        plain = not pool.mirrors and all(map(_is_plain, pool.places))
        if plain and self._extras_of(exchange) == (None, None):
            first = [place for place in pool.places if not place.settings.after]
            highway.stops = {place: Stop(self._walker, highway, place) for place in first}
            highway.clear = bool(first)
        return highway


def _is_plain(place: Place) -> bool:
    """Whether nothing has to be asked of a place but whether it is well and able."""
    settings = place.settings
    return place.endpoint is not None and settings.when is None and settings.limit is None
