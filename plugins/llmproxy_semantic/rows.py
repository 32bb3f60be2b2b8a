"""The rows of answers in the cache's own store: what every worker's and host's index is a view of.

A row is an entry with its answer's slots, mark and end, so whatever purges the answer purges the row. Which rows a
partition has stands in a list beside them (roll.py). Whoever is asked for a partition looks at the head of its list
first, one read, and learns what was added since: from the others of the host, from other hosts, from before it was
started. Nothing is sent around, so nothing can be missed; where a store is this process's alone, nothing is written.

Who asks does not wait for more than `AT_ONCE` rows: the rest is read meanwhile, and found next time.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import aclosing
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from llmproxy.plugin import BadEntry, Entry, Measured
from llmproxy_semantic.index import BadVector, Index
from llmproxy_semantic.roll import NAME, Roll, Seen
from llmproxy_semantic.shard import coarse, unit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from numpy.typing import NDArray

    from llmproxy.plugin import Answered, CacheSpace, Runtime, Store
    from llmproxy_semantic.index import Row

#: Rows that a lookup waits for.
AT_ONCE: Final = 64

#: Tells a row from an answer.
_STATUS: Final = 300
_MOST_SEEN: Final = 65_536


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    """What a row's entry says beside its vector."""

    key: bytes
    features: bytes
    until: float


_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.Decoder(_Kept).decode


class Known:
    """What one process knows of all rows; it survives reloads."""

    def __init__(self, index: Index | None = None) -> None:
        self.index = Index() if index is None else index
        self.index.on_drop = self._forget
        self._seen: OrderedDict[bytes, Seen] = OrderedDict()
        #: Partitions whose rows are being read.
        self.reading: set[bytes] = set()

    def seen(self, name: bytes) -> Seen | None:
        """Return how far a partition's list was read."""
        return self._seen.get(name)

    def see(self, name: bytes, seen: Seen | None) -> None:
        """Note how far it was; None if that is not known any more."""
        if seen is None:
            self._seen.pop(name, None)
            return
        self._seen[name] = seen
        self._seen.move_to_end(name)
        if len(self._seen) > _MOST_SEEN:
            self._seen.popitem(last=False)

    def _forget(self, name: bytes) -> None:
        self._seen.pop(name, None)


class Rows:
    """The rows of one embedder, whose vectors are compared with no other's; `embedder` is its id."""

    def __init__(self, runtime: Runtime, known: Known, embedder: str) -> None:
        self._runtime = runtime
        self._known = known
        self._salt = blake2b(embedder.encode(), digest_size=16).digest()
        self._shared: dict[CacheSpace, Store | None] = {}

    async def may_find(self, space: CacheSpace, partition: bytes) -> bool:
        """Tell whether a partition has rows, those that others added too, which are known from then on."""
        await self.learn(space, partition)
        return self._name(space, partition) in self._known.index

    async def near(
        self, space: CacheSpace, partition: bytes, vector: NDArray[np.float32], most: int
    ) -> list[Row]:
        """Return the rows of a partition that are nearest, the nearest first, as far as they are known here.

        `may_find` says what the others have added. It takes less than a millisecond, on the event loop.
        """
        name = self._name(space, partition)
        try:
            return self._known.index.nearest(name, vector, most, self._runtime.clock.wall())
        except BadVector as fault:
            space.faults.add("row", fault)
            return []

    async def learn(self, space: CacheSpace, partition: bytes) -> None:
        """Learn what was added to a partition by others."""
        store = self._store(space)
        name = self._name(space, partition)
        if store is None or name in self._known.reading:
            return
        try:
            roll = self._roll(store, partition)
            head = await roll.head()
            if head is None or head.seen == self._known.seen(name):
                return
            news = roll.news(head, self._known.seen(name))
            read = 0
            async for names in news:
                await self._read(space, store, partition, names)
                read += len(names)
                if read >= AT_ONCE and name not in self._known.reading:
                    self._read_on(space, store, partition, news, head.seen)
                    return
        except Exception as fault:
            space.faults.add("row", fault)
        else:
            self._known.see(name, head.seen)

    async def add(
        self, answered: Answered, partition: bytes, vector: NDArray[np.float32], features: bytes
    ) -> None:
        """Have the answer to a question be found by its vector, here at once and by all others who share the store."""
        space, key = answered.space, answered.key
        name = self._name(space, partition)
        try:
            until = self._runtime.clock.wall() + answered.ttl
            self._known.index.add(name, key, vector, features, until)
            store = self._store(space)
            if store is not None:
                await self._keep(store, answered, partition, unit(vector), _Kept(key, features, until))
        except Exception as fault:
            space.faults.add("row", fault)

    async def lost(self, space: CacheSpace, partition: bytes, key: bytes) -> None:
        """Forget a row whose answer is gone, for all who share the store."""
        self._known.index.remove(self._name(space, partition), key)
        store = self._store(space)
        if store is None:
            return
        try:
            await store.delete(self._key(partition, _short(key)))
        except Exception as fault:
            space.faults.add("row", fault)

    async def _keep(
        self,
        store: Store,
        answered: Answered,
        partition: bytes,
        vector: NDArray[np.float32],
        kept: _Kept,
    ) -> None:
        of, short, body = answered.entry, _short(answered.key), coarse(vector).tobytes()
        entry = Entry(_STATUS, b"", body, mark=of.mark, slots=of.slots, stored=of.stored, meta=_encode(kept))
        place = self._key(partition, short)
        if not await store.set(place, entry.pack(place), answered.ttl):
            return
        before, after = await self._roll(store, partition).add(short, answered.ttl)
        name = self._name(answered.space, partition)
        if before == self._known.seen(name) and after.length == (0 if before is None else before.length) + 1:
            self._known.see(name, after)  # its only news is what is known here

    def _read_on(
        self, space: CacheSpace, store: Store, partition: bytes, news: AsyncGenerator[list[bytes]], seen: Seen
    ) -> None:
        """Read all other rows meanwhile."""
        name = self._name(space, partition)
        work = self._read_rest(space, store, partition, news, seen)
        task = self._runtime.spawn(work, name="read-rows")
        if task is not None:
            self._known.reading.add(name)
            task.add_done_callback(lambda _: self._known.reading.discard(name))

    async def _read_rest(
        self, space: CacheSpace, store: Store, partition: bytes, news: AsyncGenerator[list[bytes]], seen: Seen
    ) -> None:
        """Read all rows that are left, giving way to others in between; only then is the list known so far."""
        try:
            async with aclosing(news):
                async for names in news:
                    await self._read(space, store, partition, names)
                    await self._runtime.clock.sleep(0)
        except Exception as fault:
            space.faults.add("row", fault)
        else:
            self._known.see(self._name(space, partition), seen)

    async def _read(self, space: CacheSpace, store: Store, partition: bytes, names: Sequence[bytes]) -> None:
        """Put rows into the index; those that are gone, purged or damaged are left out.

        Raises:
            StoreAway: the store did not give them.
        """
        keys = [self._key(partition, name) for name in names]
        values = await store.multi_get(keys)
        for key, value in zip(keys, values, strict=True):
            if value is not None:
                self._take(space, partition, key, value)

    def _take(self, space: CacheSpace, partition: bytes, key: bytes, value: bytes) -> None:
        try:
            entry = Entry.unpack(value, key)
            if entry.status != _STATUS:
                raise BadEntry("this is no row")
            if space.good(entry.mark, entry.slots):
                kept = _decode(entry.meta)
                vector = np.frombuffer(entry.body, np.int8).astype(np.float32)
                name = self._name(space, partition)
                self._known.index.add(name, kept.key, vector, kept.features, kept.until)
        except (BadEntry, BadVector, msgspec.DecodeError) as fault:
            space.faults.add("row", fault)

    def _store(self, space: CacheSpace) -> Store | None:
        """Return the store that others share; None if there is none."""
        if space not in self._shared:
            self._shared[space] = _shared_store(space)
        return self._shared[space]

    def _roll(self, store: Store, partition: bytes) -> Roll:
        return Roll(store, b"%bl%b" % (partition, self._salt), self._runtime.clock.wall)

    def _key(self, partition: bytes, name: bytes) -> bytes:
        return b"%bv%b%b" % (partition, self._salt, name)

    def _name(self, space: CacheSpace, partition: bytes) -> bytes:
        """Return what a partition is called in the index: another in another store, and for another embedder."""
        return partition + blake2b(space.name.encode(), key=self._salt, digest_size=8).digest()


def _short(key: bytes) -> bytes:
    return blake2b(key, digest_size=NAME).digest()


def _shared_store(space: CacheSpace) -> Store | None:
    store = space.tiers["far" if "far" in space.tiers else "near"]
    engine = getattr(store, "inner", store)
    alone = isinstance(engine, Measured) and not engine.extent().shared
    return None if alone else store
