"""Strategies: in which order a pool's places are tried. Pure; what chance decides comes from one seeded source.

Every order is a permutation of the places that it was given. Most are lazy: the second place is chosen when it is asked
for, which is when the first one failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any, Final

import msgspec

from llmproxy.plugin import Exchange, NoConfig, Place, Pool, Registry, Strategy
from llmproxy_balance.complexity import ByComplexity, ComplexityOptions
from llmproxy_balance.costing import Cheapest, CheapestOptions
from llmproxy_balance.experiments import Experiment, ExperimentOptions
from llmproxy_balance.facts import Facts

#: Places whose turns are remembered though they are no longer asked about, for each one that is.
_KEPT: Final = 2


def register(registry: Registry, rng: Random, facts: Facts | None = None) -> dict[str, Kind]:
    """Offer all strategies; return them by name, for who makes one beside a pool's own."""
    found = kinds(rng, facts or Facts())
    for name, (make, options) in found.items():
        registry.strategy(name, make, options)
    return found


#: What makes a strategy, and the struct that its options decode into.
Kind = tuple[Callable[[Pool, Any], Strategy], type[msgspec.Struct]]


def kinds(rng: Random, facts: Facts) -> dict[str, Kind]:
    """Return all strategies by name."""
    return {
        "ordered": (lambda pool, options: Ordered(), NoConfig),
        "rule": (lambda pool, options: Rule(), NoConfig),
        "weighted": (lambda pool, options: Weighted(rng), NoConfig),
        "round_robin": (lambda pool, options: RoundRobin(), NoConfig),
        "least_in_flight": (lambda pool, options: LeastInFlight(rng), NoConfig),
        "p2c": (lambda pool, options: TwoChoices(rng), NoConfig),
        "cheapest": (lambda pool, options: Cheapest(options, facts), CheapestOptions),
        "complexity": (
            lambda pool, options: ByComplexity(pool, options, facts),
            ComplexityOptions,
        ),
        "ab": (
            lambda pool, options: Experiment(pool, options, rng, facts),
            ExperimentOptions,
        ),
    }


class Ordered:
    """As written down."""

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Iterable[Place]:
        """Return them in their order."""
        return places


class Rule:
    """Places with a condition before those without, so that what is special wins over what is for all."""

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Iterable[Place]:
        """Return those whose `when` has to be met, then the others, each in their order."""
        return sorted(places, key=_is_unconditional)


def _is_unconditional(place: Place) -> bool:
    return place.settings.when is None


class Weighted:
    """By chance, as often as its weight says; so is the order of the rest."""

    def __init__(self, rng: Random) -> None:
        self._random = rng.random

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Iterable[Place]:
        """Draw one after the other; what weighs nothing comes last."""
        if len(places) == 2:
            first, second = places
            whole = first.weight + second.weight
            if whole and self._random() * whole >= first.weight:
                return second, first
            return places
        return self._drawn(places)

    def _drawn(self, places: Sequence[Place]) -> Iterator[Place]:
        left = list(places)
        weights = [place.weight for place in left]
        while len(left) > 1:
            whole = sum(weights)
            if not whole:
                break
            index = _drawn_index(weights, self._random() * whole)
            del weights[index]
            yield left.pop(index)
        yield from left


def _drawn_index(weights: Sequence[float], point: float) -> int:
    """Return whose share a point of their sum lies in; what weighs nothing has none."""
    last = 0
    for index, weight in enumerate(weights):
        if weight:
            last = index
            if point < weight:
                return index
            point -= weight
    return last  # the sum's last bit


class RoundRobin:
    """In turn, as often as its weight says, and as evenly as can be: of weights 5, 1, 1 never five times in a row."""

    def __init__(self) -> None:
        self._turns: dict[Place, float] = {}

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Iterable[Place]:
        """Return the one whose turn it is, then those that come next."""
        if not places:
            return places
        turns = self._turns
        if len(turns) > _KEPT * len(places) + 8:
            # Members that left; those that stay keep their turns.
            self._turns = turns = {place: turns.get(place, 0.0) for place in places}
        best, most, whole = places[0], -1e300, 0.0
        for place in places:
            # Who waits for failures takes no turns.
            weight = 0.0 if place.settings.after else place.weight
            whole += weight
            turns[place] = turn = turns.get(place, 0.0) + weight
            if turn > most and weight:
                best, most = place, turn
        turns[best] -= whole
        if len(places) == 2:
            return places if best is places[0] else (best, places[0])
        return self._from(best, places)

    def _from(self, best: Place, places: Sequence[Place]) -> Iterator[Place]:
        yield best
        turns = self._turns
        rest = [place for place in places if place is not best]
        yield from sorted(rest, key=lambda place: (not place.weight, -turns.get(place, 0.0)))


class LeastInFlight:
    """The one with the fewest requests in flight for its weight; equals by chance."""

    def __init__(self, rng: Random) -> None:
        self._random = rng.random

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Iterable[Place]:
        """Return the idlest first."""
        if len(places) == 2:
            first, second = places
            one, other = load(first) * second.weight, load(second) * first.weight
            if other < one or (other == one and self._random() < 0.5):
                return second, first
            return places
        chance = self._random
        # What weighs nothing is busier than all others.
        return sorted(
            places,
            key=lambda place: (
                not place.weight,
                load(place) / (place.weight or 1),
                chance(),
            ),
        )


class TwoChoices:
    """Of two by chance the one that will answer sooner: its latency times what is in flight there and one more."""

    def __init__(self, rng: Random) -> None:
        self._random = rng.random

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Iterable[Place]:
        """Return the better of two, the other one, then the rest by chance."""
        count = len(places)
        if count == 2:
            first, second = places
            return places if self._first_is_better(first, second) else (second, first)
        return self._drawn(places) if count else ()

    def _drawn(self, places: Sequence[Place]) -> Iterator[Place]:
        """Draw two, yield the better; the other stays for the next draw."""
        left = sorted(places, key=_weighs_nothing)
        heavy = sum(1 for place in left if place.weight)
        while heavy > 1:
            index = int(self._random() * heavy)
            other = int(self._random() * (heavy - 1))
            other += other >= index
            if not self._first_is_better(left[index], left[other]):
                index = other
            heavy -= 1
            yield left.pop(index)
        yield from left

    def _first_is_better(self, first: Place, second: Place) -> bool:
        if first.pool is None and second.pool is None:  # without the calls that pools need
            here, there = first.vitals, second.vitals
            mine, yours = here.latency, there.latency
            one, other = (here.in_flight + 1) * second.weight, (there.in_flight + 1) * first.weight
        else:
            mine, yours = latency(first), latency(second)
            one, other = load(first) * second.weight, load(second) * first.weight
        if mine is not None and yours is not None:  # what is not known yet is as fast as the other
            one, other = one * mine, other * yours
        return one < other or (one == other and self._random() < 0.5)


def _weighs_nothing(place: Place) -> bool:
    return not place.weight


def load(place: Place) -> int:
    """Return what would be in flight there with one more; of a pool, what is in all of its places."""
    if place.pool is None:
        return place.vitals.in_flight + 1
    return 1 + sum(load(inner) - 1 for inner in place.pool.places)


def latency(place: Place) -> float | None:
    """Return the seconds that an answer's beginning takes there; of a pool, the mean of what is known."""
    if place.pool is None:
        return place.vitals.latency
    known = [seconds for inner in place.pool.places if (seconds := latency(inner)) is not None]
    return sum(known) / len(known) if known else None
