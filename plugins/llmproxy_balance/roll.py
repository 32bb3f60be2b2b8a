"""Whose health is known: the endpoints of all pools, and for a while those that left. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from llmproxy.plugin import Endpoint, Place, Pool, Vitals
from llmproxy_balance.health import Health, State

#: What of a place's latency the newest one makes.
NEWEST: Final = 0.2
#: Endpoints that are remembered after they left.
_MOST_GONE: Final = 256

#: Told of each change: the record, where it stood before, and why.
OnChange = Callable[["Record", State, str], None]


class Record(Vitals):
    """What is known of one endpoint, and the names of the pools that it is a place of: all its places' vitals."""

    __slots__ = ("aged", "compared", "endpoint", "health", "pools")

    def __init__(self, endpoint: Endpoint, health: Health) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.health = health
        self.pools: set[str] = set()
        self.compared = 0.0
        #: The latency when it was last looked at whether there was a newer one.
        self.aged: float | None = None

    def took(self, seconds: float) -> None:
        """Have the latency of an answer count."""
        known = self.latency
        self.latency = seconds if known is None else known + NEWEST * (seconds - known)


class Roll:
    """The records by endpoint, and those of them that are not well."""

    def __init__(self, make: Callable[[], Health]) -> None:
        self._make = make
        self.on_change: OnChange | None = None
        self.records: dict[Endpoint, Record] = {}
        #: Those that are not closed.
        self.ailing: dict[Endpoint, Health] = {}
        #: The places of each pool by the pool's name, as they were when it was last asked for.
        self.pools: dict[str, tuple[Place, ...]] = {}
        self.gone: dict[Endpoint, Record] = {}

    def adopt(self, pool: Pool) -> None:
        """Know a pool's places, nested ones too; forget those that are no place of any pool any more."""
        before = self.pools.get(pool.name, ())
        if before is pool.places:
            return
        self.pools[pool.name] = pool.places
        for place in pool.places:
            if place.pool is not None:
                self.adopt(place.pool)
            elif place.endpoint is not None:
                record = self._record(place.endpoint)
                record.pools.add(pool.name)
                place.vitals = record
        here = {place.endpoint for place in pool.places}
        self._leave(pool.name, (place for place in before if place.endpoint not in here))

    def keep(self, names: Iterable[str]) -> None:
        """Forget all pools but these, and the endpoints that only those had."""
        for name in self.pools.keys() - set(names):
            self._leave(name, self.pools.pop(name))

    def others(self, record: Record, pool: str) -> list[Record]:
        """Return the other endpoints of a pool, nested ones too."""
        found = dict.fromkeys(endpoints_of(self.pools.get(pool, ())))
        return [self.records[each] for each in found if each != record.endpoint and each in self.records]

    def _record(self, endpoint: Endpoint) -> Record:
        record = self.records.get(endpoint)
        if record is None:
            record = self.gone.pop(endpoint, None) or Record(endpoint, self._make())
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

    def _leave(self, pool: str, places: Iterable[Place]) -> None:
        for place in places:
            record = self.records.get(place.endpoint) if place.endpoint is not None else None
            if record is None:
                continue
            record.pools.discard(pool)
            if not record.pools:
                self._retire(record)

    def _retire(self, record: Record) -> None:
        del self.records[record.endpoint]
        self.ailing.pop(record.endpoint, None)
        record.health.changed = None
        self.gone[record.endpoint] = record
        if len(self.gone) > _MOST_GONE:
            del self.gone[next(iter(self.gone))]


def endpoints_of(places: Iterable[Place]) -> Iterator[Endpoint]:
    """Yield the endpoints that places lead to."""
    for place in places:
        if place.pool is not None:
            yield from endpoints_of(place.pool.places)
        elif place.endpoint is not None:
            yield place.endpoint
