"""Of what the keys of answers were made that were stored lately, to tell a caller which part of its own differs.

Bounded in every direction, digests only, and cheap: keys are taken apart at most so often, which under load leaves
some out. The other workers of the host are asked too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from llmproxy.caching.parts import Difference, Part, differences

if TYPE_CHECKING:
    from llmproxy.bus import Bus, Peer
    from llmproxy.runtime import Clock, Runtime

#: Pairs of tenant and route, keys of each, parts of each.
MOST_PLACES: Final = 64
MOST_KEYS: Final = 64
MOST_PARTS: Final = 128

#: Keys that are taken apart a second, on average and at once.
RATE: Final = 20.0
BURST: Final = 64.0


class Near(msgspec.Struct, array_like=True, frozen=True):
    """The earlier key that differs least: in what, and how many seconds ago its answer was stored.

    Without differences it is the same key, whose answer is gone.
    """

    differences: list[Difference]
    seconds: float


class _Asked(msgspec.Struct, array_like=True, frozen=True):
    tenant: str
    route: str
    parts: list[Part]


_encode: Final = msgspec.msgpack.encode
_asked: Final = msgspec.msgpack.Decoder(_Asked)
_near: Final = msgspec.msgpack.Decoder(Near | None)
_parts: Final = msgspec.msgpack.Decoder(list[Part])


class Recents:
    """The keys that one cache has stored answers under; of one worker, with those of the others to be asked."""

    def __init__(self, name: str, clock: Clock, bus: Bus) -> None:
        self._topic = f"cache-keys:{name}"
        self._clock = clock
        self._bus = bus
        self._places: OrderedDict[tuple[str, str], OrderedDict[bytes, tuple[float, bytes]]] = OrderedDict()
        self._due = BURST
        self._since = clock.now()
        self._leave = bus.answer(self._topic, self._answer)

    @classmethod
    @asynccontextmanager
    async def of(cls, runtime: Runtime) -> AsyncIterator[Recents]:
        """Hold the keys of a plugin's cache; they survive reloads."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[Recents]:
            recents = cls(runtime.name, runtime.clock, runtime.bus)
            try:
                yield recents
            finally:
                recents.close()

        async with runtime.shared(_Named(runtime.name), opened) as recents:
            yield recents

    def remember(self, tenant: str, route: str, key: bytes, parts: Callable[[], list[Part]]) -> None:
        """Remember a key's parts, which are asked for only if it is time for that."""
        now = self._clock.now()
        self._due = min(BURST, self._due + (now - self._since) * RATE)
        self._since = now
        if self._due < 1:
            return
        self._due -= 1
        keys = self._places.setdefault((tenant, route), OrderedDict())
        self._places.move_to_end((tenant, route))
        keys[key] = now, _encode(parts()[:MOST_PARTS])
        keys.move_to_end(key)
        if len(keys) > MOST_KEYS:
            keys.popitem(last=False)
        if len(self._places) > MOST_PLACES:
            self._places.popitem(last=False)

    async def nearest(self, tenant: str, route: str, parts: list[Part]) -> Near | None:
        """Return the earlier key of the same tenant and route that differs least, of any worker."""
        parts = parts[:MOST_PARTS]
        answers = await self._bus.ask(self._topic, _encode(_Asked(tenant, route, parts)))
        found = [self._nearest(tenant, route, parts), *map(_near.decode, answers.payloads.values())]
        return min((near for near in found if near is not None), key=_distance, default=None)

    def _nearest(self, tenant: str, route: str, parts: list[Part]) -> Near | None:
        return min(self._all(tenant, route, parts), key=_distance, default=None)

    def _all(self, tenant: str, route: str, parts: list[Part]) -> Iterator[Near]:
        now = self._clock.now()
        for stored, packed in self._places.get((tenant, route), {}).values():
            yield Near(differences(parts, _parts.decode(packed)), now - stored)

    def _answer(self, payload: bytes, asker: Peer) -> bytes:
        asked = _asked.decode(payload)
        return _encode(self._nearest(asked.tenant, asked.route, asked.parts))

    def close(self) -> None:
        """Answer no more."""
        self._leave()


class _Named(NamedTuple):
    """What the keys are shared under."""

    plugin: str


def _distance(near: Near) -> tuple[int, float]:
    return len(near.differences), near.seconds
