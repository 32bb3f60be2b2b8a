"""Who goes back to the place where he was: pins with an end, and no place pinned beyond its share. Pure.

    affinity = Affinity(AffinitySettings(by=("session",)))
    place = affinity.choose(key, places, now)

A key that is new goes to the place that rendezvous hashing gives it, so that all workers and instances agree without
talking; unless that place has more than its share of the load of the last minutes: then to the next in the key's own
order (consistent hashing with bounded loads, Mirrokni et al., 2018). It stays there while it is used, even if its place
is somewhat above its share: a move costs a warm prompt cache.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from llmproxy.plugin import Place
    from llmproxy_balance.belongingsettings import AffinitySettings

#: Keys that are remembered, each worker: some 200 bytes each.
MOST_PINS: Final = 65_536
#: Seconds after which a request counts half in a place's load.
HALF_LIFE: Final = 60.0
#: How far above its share a place may be for newcomers, as a part of how far it may be at all.
_NEWCOMERS: Final = 0.4
#: Requests above its share that say nothing of a place yet, at least: whoever comes first is above it.
_SLACK: Final = 2.0
#: The same for whoever is pinned: what asks at once is counted late, and would leave for the same next place together.
_PATIENCE: Final = 12.0
#: Half-lives after which counts begin anew, long before they leave a double's range.
_OLDEST: Final = 32.0


class Pin(NamedTuple):
    """Where a key went last, and until when that counts."""

    place: str
    until: float


class Affinity:
    """The pins of one pool, and the load of its places."""

    def __init__(self, settings: AffinitySettings) -> None:
        self.settings = settings
        self._pins: OrderedDict[bytes, Pin] = OrderedDict()
        self._loads = Loads()

    def choose(self, key: bytes, places: Sequence[Place], now: float) -> Place:
        """Return the place, among those that may be tried now, where a key belongs; pin it there."""
        most = self.settings.load
        pinned = self._pinned(key, places, now)
        if pinned is not None and self._loads.above(pinned, places, _PATIENCE) <= most:
            return self._pin(key, pinned, now)
        newcomers = 1 + (most - 1) * _NEWCOMERS
        ranked = rank(key, places)
        fitting = (place for place in ranked if self._loads.above(place, places) <= newcomers)
        found = next(fitting, None) or min(ranked, key=lambda place: self._loads.above(place, places))
        return self._pin(key, found, now)

    def served(self, key: bytes, place: Place, now: float) -> None:
        """Count a request for the place that answered it; a key that had to go elsewhere is pinned there."""
        self._loads.add(place.name, now)
        pin = self._pins.get(key)
        if pin is not None and pin.place != place.name:
            self._pin(key, place, now)

    def _pinned(self, key: bytes, places: Sequence[Place], now: float) -> Place | None:
        pin = self._pins.get(key)
        if pin is None or pin.until <= now:
            return None
        return next((place for place in places if place.name == pin.place), None)

    def _pin(self, key: bytes, place: Place, now: float) -> Place:
        self._pins[key] = Pin(place.name, now + self.settings.ttl)
        self._pins.move_to_end(key)
        if len(self._pins) > MOST_PINS:
            self._pins.popitem(last=False)
        return place

    def __len__(self) -> int:
        return len(self._pins)


class Loads:
    """Requests of late by place, each counting half after `HALF_LIFE` seconds."""

    def __init__(self) -> None:
        self._counts: dict[str, float] = {}
        self._since: float | None = None
        self._unit = 1.0

    def add(self, place: str, now: float) -> None:
        """Count one request."""
        if self._since is None:
            self._since = now
        # What comes later counts for more, instead of what came before for less: nothing is touched but the one.
        age = (now - self._since) / HALF_LIFE
        if age > _OLDEST:
            self._forget(age, now)
            age = 0.0
        self._unit = 2.0**age
        self._counts[place] = self._counts.get(place, 0.0) + self._unit

    def _forget(self, age: float, now: float) -> None:
        """Begin a new count: what is old by now counts for next to nothing, and places may have left."""
        scale = 2.0**-age
        self._counts = {
            place: count * scale for place, count in self._counts.items() if count * scale > 1 / 1024
        }
        self._since = now

    def above(self, place: Place, places: Sequence[Place], slack: float = _SLACK) -> float:
        """Return a place's load with one request more, as a multiple of its share of all.

        So few requests above the share as `slack` are not judged: that is 1.
        """
        counts, unit = self._counts, self._unit
        weights = sum(each.weight for each in places)
        if weights <= 0:
            return 1.0
        total = sum(counts.get(each.name, 0.0) for each in places) + unit
        share = total * place.weight / weights
        over = counts.get(place.name, 0.0) + unit - share
        if share <= 0:
            return math.inf
        return 1.0 if over <= slack * unit else 1.0 + over / share


def rank(key: bytes, places: Sequence[Place]) -> list[Place]:
    """Return the places in the key's own order: rendezvous hashing with weights (Schindelhauer and Schomaker, 2005)."""
    return sorted(places, key=lambda place: _score(key, place), reverse=True)


def _score(key: bytes, place: Place) -> float:
    digest = blake2b(place.name.encode(), digest_size=8, key=key[:64]).digest()
    drawn = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
    return -place.weight / math.log(drawn) if place.weight > 0 else -1.0 / drawn
