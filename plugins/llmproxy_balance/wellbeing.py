"""Which places of a pool may be chosen now, by what is known of the health of each.

A machine stands for an endpoint, an upstream and the model's name there, whatever pools it is a place of. Machines are
made when a pool is first asked for; those of members that left are kept for a while, in case they come back.

While all are well, a pool's places cost a look-up. What the walk does:

    places = wellbeing.eligible(pool)           # then the strategy's order
    if wellbeing.claim(place.endpoint): ...     # right before an attempt; False: another was quicker, take the next
    wellbeing.settle(exchange, attempt, failure)    # from `attempt_done`: once for each attempt
    wellbeing.spare(pool)                       # when all of them failed: places that are held back, but not closed
    wellbeing.until(pool)                       # when there is none at all: for the 503's Retry-After
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from llmproxy.plugin import Attempt, Clock, Endpoint, Exchange, Failure, Place, Pool, Vitals
from llmproxy_balance.health import Health, State
from llmproxy_balance.healthsettings import HealthSettings
from llmproxy_balance.outliers import may_leave, stands_out

#: Failures that speak against the endpoint.
AGAINST: Final = frozenset(
    {"connect", "dns", "tls", "reset", "timeout", "cut", "protocol", "server", "overloaded"}
)
#: Failures after which it is left alone: the gateway's own key is of no use there for now.
SPENT: Final = frozenset({"quota", "authentication"})
PARKING: Final = SPENT | {"rate_limit"}
#: Failures of one request, by an endpoint that is well.
ANSWERED: Final = frozenset({"invalid_request", "not_found", "too_large", "window", "policy", "permission"})

#: What of a place's latency the newest one makes.
_NEWEST: Final = 0.2
#: Endpoints that are remembered after they left.
_MOST_GONE: Final = 256
#: Seconds between two comparisons of one endpoint with the others of its pools.
_COMPARED: Final = 1.0

#: Told of each change: the record, where it stood before, and why.
OnChange = Callable[["Record", State, str], None]


class Record:
    """What is known of one endpoint; `upstream` is the name that the configuration gives it, member or not."""

    __slots__ = ("compared", "endpoint", "health", "pools", "upstream", "vitals")

    def __init__(self, endpoint: Endpoint, upstream: str, health: Health) -> None:
        self.endpoint = endpoint
        self.upstream = upstream
        self.health = health
        self.vitals = Vitals()
        self.pools: set[str] = set()
        self.compared = 0.0


class Wellbeing:
    """The machines of all endpoints; it outlives the generations of a configuration."""

    def __init__(
        self,
        settings: HealthSettings,
        clock: Clock,
        random: Callable[[], float],
        on_change: OnChange | None = None,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._random = random
        self.on_change = on_change
        self.records: dict[Endpoint, Record] = {}
        #: Those that are not closed.
        self.ailing: dict[Endpoint, Health] = {}
        self._pools: dict[str, tuple[Place, ...]] = {}
        self._gone: dict[Endpoint, Record] = {}

    def obey(self, settings: HealthSettings) -> None:
        """Take a new generation's settings; what is known stays."""
        self.settings = settings
        for record in self.records.values():
            record.health.obey(settings)

    # What may be chosen.

    def eligible(self, pool: Pool) -> Sequence[Place]:
        """Return the places that may be chosen now: all of them while all are well."""
        places = pool.places
        if self._pools.get(pool.name) is not places:
            self.adopt(pool)
        return self._choose(places) if self.ailing else places

    def _choose(self, places: tuple[Place, ...]) -> Sequence[Place]:
        now = self._clock.now()
        chosen = [place for place in places if self._admits(place, now)]
        if len(chosen) == len(places):
            return places
        # Those that are held back only to be spared serve where there are no others.
        return chosen or [place for place in places if self._usable(place, now)]

    def spare(self, pool: Pool) -> Sequence[Place]:
        """Return all places that may be tried where those that were eligible have failed."""
        now = self._clock.now()
        return [place for place in pool.places if self._usable(place, now)]

    def claim(self, endpoint: Endpoint) -> bool:
        """Whether an attempt may be made now; it takes a trial's place, if one is needed, until `note` is called."""
        health = self.ailing.get(endpoint)
        return health is None or health.claim(self._clock.now())

    def until(self, pool: Pool) -> float | None:
        """Return the seconds until a place comes back; None if one may be tried now."""
        now = self._clock.now()
        waits = [
            0.0 if health is None else health.wait(now)
            for endpoint in _endpoints(pool.places)
            for health in [self.ailing.get(endpoint)]
        ]
        soonest = min(waits, default=0.0)
        return soonest if soonest > 0 else None

    def _admits(self, place: Place, now: float) -> bool:
        if place.pool is not None:
            return any(self._usable(inner, now) for inner in place.pool.places)
        health = self.ailing.get(place.endpoint) if place.endpoint is not None else None
        return health is None or health.admits(now, self._random)

    def _usable(self, place: Place, now: float) -> bool:
        if place.pool is not None:
            return any(self._usable(inner, now) for inner in place.pool.places)
        health = self.ailing.get(place.endpoint) if place.endpoint is not None else None
        return health is None or health.usable(now)

    # What attempts say.

    def settle(self, exchange: Exchange, attempt: Attempt, failure: Failure | None) -> None:
        """Hear of an attempt that has ended, from `attempt_done`; `failure` is None if none is to blame."""
        ended = attempt.ended or self._clock.now()
        latency = None
        if failure is None:
            at = attempt.first_output_at or attempt.headers_at
            if at is not None and attempt.complete:
                latency = at - attempt.started
        elif failure.kind in PARKING and callers_own(exchange, attempt.endpoint):
            failure = Failure("permission", failure.status)
        self.note(attempt.endpoint, failure, latency, ended, attempt.started)

    def note(
        self,
        endpoint: Endpoint,
        failure: Failure | None,
        latency: float | None,
        now: float,
        started: float | None = None,
    ) -> None:
        """Hear how an attempt ended.

        `latency` is in seconds, of an attempt that went well. Without failure and latency the attempt says nothing: its
        caller left, or was refused by the gateway. `started` is when it began, on the same clock as `now`.
        """
        record = self.records.get(endpoint)
        if record is None:
            return
        if failure is not None:
            self._failed(record, failure, now, started)
        elif latency is None:
            record.health.ended(now, started)
        else:
            vitals = record.vitals
            known = vitals.latency
            vitals.latency = latency if known is None else known + _NEWEST * (latency - known)
            record.health.succeeded(now, started)

    def began(self, endpoint: Endpoint, now: float, started: float | None = None) -> None:
        """Hear that an attempt has brought its first output: a trial need not wait for the end of a long stream."""
        health = self.ailing.get(endpoint)
        if health is not None and health.state is State.HALF_OPEN:
            health.succeeded(now, started)

    def _failed(self, record: Record, failure: Failure, now: float, started: float | None) -> None:
        health, kind, told = record.health, failure.kind, failure.retry_after
        if kind in SPENT:
            health.shut(now, kind)
        if told and (kind in PARKING or kind in AGAINST):
            health.park(now, told, kind)
        elif kind == "rate_limit":
            health.limit(now)
        elif kind in AGAINST:
            health.failed(now, started)
            if health.state < State.HALF_OPEN:
                self._compare(record, now)
        elif kind in ANSWERED:
            health.succeeded(now, started)
        elif kind not in SPENT:
            health.ended(now, started)

    def _compare(self, record: Record, now: float) -> None:
        """Take an endpoint out that does worse than the others of one of its pools."""
        settings = self.settings.outliers
        if (
            settings is None
            or now - record.compared < _COMPARED
            or record.health.recent.total < settings.volume
        ):
            return
        record.compared = now
        for name in record.pools:
            others = [
                other
                for endpoint in dict.fromkeys(_endpoints(self._pools.get(name, ())))
                if endpoint != record.endpoint and (other := self.records.get(endpoint)) is not None
            ]
            out = 0
            for other in others:
                other.health.advance(now)
                other.health.recent.forget(now)
                out += other.health.state >= State.HALF_OPEN
            if may_leave(out, len(others) + 1, settings) and stands_out(
                record.health.recent, (other.health.recent for other in others), settings
            ):
                record.health.eject(now)
                return

    # Who is there.

    def adopt(self, pool: Pool) -> None:
        """Know a pool's places, nested ones too; forget those that are no place of any pool any more."""
        before = self._pools.get(pool.name, ())
        self._pools[pool.name] = pool.places
        for place in pool.places:
            if place.pool is not None:
                self.adopt(place.pool)
            elif place.endpoint is not None:
                record = self._record(place.endpoint, place.settings.upstream or place.endpoint.upstream)
                record.pools.add(pool.name)
                place.vitals = record.vitals
        here = {place.endpoint for place in pool.places}
        for place in before:
            if place.endpoint is not None and place.endpoint not in here:
                self._leave(place.endpoint, pool.name)

    def keep(self, names: Iterable[str]) -> None:
        """Forget all pools but these, and the endpoints that only those had."""
        for name in self._pools.keys() - set(names):
            for place in self._pools.pop(name):
                if place.endpoint is not None:
                    self._leave(place.endpoint, name)

    def _record(self, endpoint: Endpoint, upstream: str) -> Record:
        record = self.records.get(endpoint)
        if record is None:
            record = self._gone.pop(endpoint, None)
            if record is None:
                health = Health(self.settings, self._random, self._clock.now())
                record = Record(endpoint, upstream, health)
            record.health.obey(self.settings)
            self.records[endpoint] = record
            self._follow(record)
        return record

    def _follow(self, record: Record) -> None:
        """Keep the list of those that are not closed, and tell of changes."""

        def changed(health: Health, before: State, cause: str) -> None:
            self._list(record)
            if self.on_change is not None:
                self.on_change(record, before, cause)

        record.health.changed = changed
        self._list(record)

    def _list(self, record: Record) -> None:
        if record.health.state is State.CLOSED:
            self.ailing.pop(record.endpoint, None)
        else:
            self.ailing[record.endpoint] = record.health

    def _leave(self, endpoint: Endpoint, pool: str) -> None:
        record = self.records.get(endpoint)
        if record is None:
            return
        record.pools.discard(pool)
        if not record.pools:
            del self.records[endpoint]
            self.ailing.pop(endpoint, None)
            record.health.changed = None
            self._gone[endpoint] = record
            if len(self._gone) > _MOST_GONE:
                del self._gone[next(iter(self._gone))]

    @property
    def pools(self) -> Iterator[tuple[str, tuple[Place, ...]]]:
        """The pools that were asked for, by name."""
        return iter(sorted(self._pools.items()))


def _endpoints(places: Iterable[Place]) -> Iterator[Endpoint]:
    for place in places:
        if place.pool is not None:
            yield from _endpoints(place.pool.places)
        elif place.endpoint is not None:
            yield place.endpoint


#: Fields that credentials travel in.
_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})


def callers_own(exchange: Exchange, endpoint: Endpoint) -> bool:
    """Whether an attempt carried the caller's credentials, so that a refusal of them says nothing of the endpoint.

    That is so on routes of plain HTTP whose upstream has no credentials of its own; models get the gateway's alone.
    """
    route = exchange.route
    if route.models is not None:
        return False
    target = route.targets.get(endpoint.upstream)
    return target is not None and _CREDENTIALS.isdisjoint(target.upstream.owned)
