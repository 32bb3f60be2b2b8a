"""Which places may answer a request, in which order, and why others may not. Pure.

order = line_up.order(exchange, pool, trail)
place = next(order)      # one upstream's; the next is looked for when this one failed
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple, Protocol

from llmproxy.plugin import Exchange, Place, Pool

#: Pools of which is remembered who has to be asked.
_MOST_PLANS: Final = 4096

#: Returns those of a pool's places that may be tried.
Among = Callable[[Pool], Sequence[Place]]

#: Returns "" to admit a request to a place, else the reason in a few words, none of them the request's.
Gate = Callable[[Exchange, Place], str]


class Gatekeeper(NamedTuple):
    """A gate, and which places it matters to.

    `passing` where what it refuses now it may admit a moment later; `waits` where that is worth waiting for.
    """

    gate: Gate
    concerns: Callable[[Place], bool]
    passing: bool = False
    waits: bool = False


class Health(Protocol):
    """Tells who of a pool is well enough to be tried."""

    def eligible(self, pool: Pool) -> Sequence[Place]:
        """Return those places."""

    def spare(self, pool: Pool) -> Sequence[Place]:
        """Return those that may be tried where the eligible ones have failed."""

    def last(self, pool: Pool) -> Sequence[Place]:
        """Return those that may be tried where none of the others answers such a request."""

    def until(self, pool: Pool) -> float | None:
        """Return the seconds until another place is well, or None if nobody knows."""


class AllWell:
    """Health that nobody watches."""

    def eligible(self, pool: Pool) -> Sequence[Place]:
        """Return all places."""
        return pool.places

    spare = last = eligible

    def until(self, pool: Pool) -> float | None:
        """Nobody knows."""
        return None


#: Tells which place a request goes back to, before any strategy is asked.
Preference = Callable[[Exchange, Pool, Sequence[Place]], Place | None]


class Skipped(NamedTuple):
    """A place that was not tried, and why not."""

    place: Place
    reason: str
    passing: bool
    waits: bool = False


class _Plan(NamedTuple):
    """Who has to be asked before each of these places of a pool is tried."""

    pool: Pool
    places: Sequence[Place]
    gates: Mapping[Place, tuple[Gatekeeper, ...]]


class LineUp:
    """Orders the places of pools, nested ones included, as far as they are asked for."""

    def __init__(self, health: Health, gates: Sequence[Gatekeeper] = ()) -> None:
        self.health = health
        self._gates = tuple(gates)
        self._plans: dict[int, _Plan] = {}
        #: Who goes back where; None where nobody does.
        self.prefer: Preference | None = None
        #: How many tokens a place's model reads at most, where that is known.
        self.window: Callable[[Exchange, Place], int | None] = _unknown

    def order(
        self, exchange: Exchange, pool: Pool, skipped: list[Skipped], among: Among | None = None
    ) -> Iterator[Place]:
        """Return the places of upstreams, best first, as far as asked for; what is passed over is told to `skipped`.

        They are those `among` a pool's that may be tried: the eligible ones, unless something else is said.
        """
        plan = self._plans.get(id(pool))
        if plan is None or plan.places is not pool.places:
            plan = self._planned(pool)
        places = self.health.eligible(pool) if among is None else among(pool)
        ordered = pool.strategy.order(exchange, places)
        if self.prefer is not None:
            # A place that never answers such requests would have its share of who belongs somewhere, and be none.
            fitting = [place for place in places if self._fits(plan, exchange, place)]
            if (preferred := self.prefer(exchange, pool, fitting)) is not None:
                ordered = _before(preferred, ordered)
        # The first one is all that most requests need: it is found without what finds the others.
        left = iter(ordered)
        for place in left:
            if place.pool is not None:
                left = chain((place,), left)
                break
            gates = plan.gates.get(place, self._gates)
            if not place.settings.after and (not gates or _admits(gates, exchange, place, skipped)):
                return chain((place,), self._through(plan, left, exchange, skipped, among))
        return self._through(plan, left, exchange, skipped, among)

    def rest(
        self, exchange: Exchange, pool: Pool, left: Iterator[Place], skipped: list[Skipped]
    ) -> Iterator[Place]:
        """Return those that may be tried of the places that are `left` of a strategy's order."""
        return self._through(self._plans.get(id(pool)) or self._planned(pool), left, exchange, skipped, None)

    def _through(
        self,
        plan: _Plan,
        places: Iterator[Place],
        exchange: Exchange,
        skipped: list[Skipped],
        among: Among | None,
    ) -> Iterator[Place]:
        for place in places:
            gates = plan.gates.get(place, self._gates)
            if place.settings.after or not _admits(gates, exchange, place, skipped):
                continue
            if place.pool is None:
                yield place
            else:
                yield from self.order(exchange, place.pool, skipped, among)

    def fits_nowhere(self, exchange: Exchange, pool: Pool) -> bool:
        """Whether no place of a pool could ever answer such a request, however well it were."""
        skipped: list[Skipped] = []
        found = next(self.order(exchange, pool, skipped, _all), None)
        return found is None and bool(skipped) and not any(each.passing for each in skipped)

    def after(self, kind: str, exchange: Exchange, pool: Pool, skipped: list[Skipped]) -> Iterator[Place]:
        """Yield the places that are meant for a request that failed so elsewhere, as they are written down."""
        plan = self._plans.get(id(pool)) or self._planned(pool)
        for place in self.health.eligible(pool):
            meant = kind in place.settings.after
            if not meant and (place.settings.after or place.pool is None):
                continue
            if not _admits(plan.gates.get(place, self._gates), exchange, place, skipped):
                continue
            if place.pool is None:
                yield place
            elif meant:
                yield from self.order(exchange, place.pool, skipped)
            else:
                yield from self.after(kind, exchange, place.pool, skipped)

    def is_larger(self, exchange: Exchange, place: Place, than: Place) -> bool:
        """Whether the model of a place is known to read more than another's."""
        one, other = self.window(exchange, place), self.window(exchange, than)
        return one is not None and other is not None and one > other

    def _fits(self, plan: _Plan, exchange: Exchange, place: Place) -> bool:
        """Whether a place answers such requests, if perhaps not now."""
        gates = plan.gates.get(place, self._gates)
        return not place.settings.after and not any(
            each.gate(exchange, place) for each in gates if not each.passing
        )

    def _planned(self, pool: Pool) -> _Plan:
        gates = {place: tuple(each for each in self._gates if each.concerns(place)) for place in pool.places}
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()  # pools of one are made for models whose names callers may invent
        plan = self._plans[id(pool)] = _Plan(pool, pool.places, gates)
        return plan


def _admits(gates: tuple[Gatekeeper, ...], exchange: Exchange, place: Place, skipped: list[Skipped]) -> bool:
    for gate, _, passing, waits in gates:
        if reason := gate(exchange, place):
            skipped.append(Skipped(place, reason, passing, waits))
            return False
    return True


def _all(pool: Pool) -> Sequence[Place]:
    return pool.places


def _unknown(exchange: Exchange, place: Place) -> int | None:
    return None


def _before(first: Place, ordered: Iterable[Place]) -> Iterator[Place]:
    yield first
    for place in ordered:
        if place is not first:
            yield place
