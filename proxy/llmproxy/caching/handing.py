"""Entries handed to the other workers of a host, where each keeps its own: what was warmed in one is warm in all."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from llmproxy.caching.entry import BadEntry, Entry
from llmproxy.peers import MAX_PAYLOAD
from llmproxy.stores.interface import LocalStore

if TYPE_CHECKING:
    from llmproxy.bus import Bus, Peer

#: Seconds that the other workers have to take an entry.
_PATIENCE = 2.0


class _Handed(msgspec.Struct, array_like=True, frozen=True):
    """An entry on its way: its key, what a store keeps of it, for how many seconds."""

    key: bytes
    value: bytes
    ttl: float


_encode = msgspec.msgpack.encode
_decoder = msgspec.msgpack.Decoder(_Handed)


class Handing:
    """Hands the entries of one cache's store around; one of these a store and worker.

    Purges are everybody's at once, so nothing is kept that was purged meanwhile.
    """

    def __init__(self, name: str, store: LocalStore, bus: Bus) -> None:
        self._topic = f"cache-entry:{name}"
        self._asking = f"cache-look:{name}"
        self._store = store
        self._bus = bus
        self._leave = [bus.answer(self._topic, self._take), bus.answer(self._asking, self._look)]

    async def give(self, key: bytes, entry: Entry, ttl: float) -> bool:
        """Give every other worker an entry; return whether all have it who answer.

        One that does not answer is starting, leaving or stuck: it asks for itself, later.
        """
        value = entry.pack(key)
        if len(key) + len(value) + 64 > MAX_PAYLOAD:
            return False
        told = await self._bus.ask(self._topic, _encode(_Handed(key, value, ttl)), timeout=_PATIENCE)
        return all(answer == b"1" for answer in told.payloads.values())

    async def find(self, key: bytes) -> list[Entry]:
        """Return what the other workers have under a key, purged or not."""
        told = await self._bus.ask(self._asking, key)
        found = []
        for value in told.payloads.values():
            with suppress(BadEntry):
                found.append(Entry.unpack(value, key))
        return found

    def _look(self, key: bytes, asker: Peer) -> bytes:
        value = self._store.get_nowait(key)
        return b"" if value is None or len(value) > MAX_PAYLOAD else value

    def _take(self, payload: bytes, giver: Peer) -> bytes:
        handed = _decoder.decode(payload)
        try:
            _ = Entry.unpack(handed.value, handed.key)
        except BadEntry:
            return b"0"
        return b"1" if self._store.set_nowait(handed.key, handed.value, handed.ttl) else b"0"

    def close(self) -> None:
        """Take no more."""
        for leave in self._leave:
            leave()
