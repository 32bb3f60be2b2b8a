"""The embedded store: LMDB, shared by the worker processes of a host, bounded, kept over restarts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from llmproxy.stores.backend import ANYTHING, Expect, Local, as_bytes, whole_number
from llmproxy.stores.bounded import BoundedShelf
from llmproxy.stores.environment import FAULTS, Environment, Transaction
from llmproxy.stores.gathering import Gathering, Put
from llmproxy.stores.interface import Extent, StoreAway
from llmproxy.stores.lmdb_counters import LmdbCounters
from llmproxy.stores.lmdb_reserving import LmdbReservations
from llmproxy.stores.shelf import TABLES, ends_at, now_us, shelf_key, shelf_prefix
from llmproxy.stores.urls import StoreUrl
from llmproxy.units import parse_size

_INLINE: Final = 16 << 10  # larger values are written in the environment's thread
_BATCH: Final = 256


def make_lmdb(url: StoreUrl) -> LmdbStore:
    """Make the store of ``lmdb:///var/lib/llmproxy/cache?map_size=1GiB&counters_map_size=64MiB``."""
    url.refuse_parts("host", "port", "username", "password")
    if not url.path.strip("/"):
        raise ValueError("an lmdb:// store needs a directory, as in 'lmdb:///var/lib/llmproxy/cache'")
    sizes = url.read(map_size=parse_size, counters_map_size=parse_size)
    return LmdbStore(Path(url.path), name=str(url), **sizes)


class LmdbStore(Local):
    """Entries in `directory`/cache; counters and reservations beside it, out of the cache's way.

    `evictions` counts what this process removed by reason: `size`, `expired`, `replaced`.
    """

    NAME = "lmdb"

    def __init__(
        self, directory: Path, *, name: str, map_size: int = 1 << 30, counters_map_size: int = 64 << 20
    ) -> None:
        super().__init__(name)
        if min(map_size, counters_map_size) < 1 << 20:
            raise ValueError(f"store {name} needs a map_size of at least 1MiB")
        self._directory = directory
        self._map_size = map_size
        self._counters = LmdbCounters(directory / "counters", counters_map_size)
        self._reservations = LmdbReservations(directory / "reservations", counters_map_size)
        self._env: Environment | None = None
        self._gathering = Gathering(self._put_all)
        self.evictions = dict.fromkeys(("size", "expired", "replaced"), 0)

    def open(self) -> None:
        """Open the files; the counters' are opened when first counted in."""
        self._env = Environment.acquire(self._directory / "cache", self._map_size, TABLES)
        self._shelf = BoundedShelf(self._env)
        self._shelf.evictions = self.evictions

    async def _close(self, *_: object, **__: object) -> None:
        self._counters.close()
        self._reservations.close()
        if self._env is not None:
            self._gathering.flush()
            self._env.release()
            self._env = None

    @property
    def counters(self) -> LmdbCounters:
        return self._counters

    @property
    def reservations(self) -> LmdbReservations:
        """The limits that the workers of this host share, in files of their own."""
        return self._reservations

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self._directory

    @property
    def env(self) -> Environment:
        if self._env is None:
            raise StoreAway(f"store {self.name} is not open")
        return self._env

    def extent(self) -> Extent:
        """Look how much it holds; entries go from four fifths of the limit on."""
        env = self.env
        try:
            with env.begin() as txn:
                return Extent(txn.stat(env.tables[0])["entries"], env.used(txn), env.map_size, shared=True)
        except FAULTS as error:
            raise env.away(error) from error

    def check_readers(self) -> int:
        """Free what workers that died held of all environments; return how many slots that were."""
        beside = self._counters.check_readers() + self._reservations.check_readers()
        return self.env.check_readers() + beside

    def get_nowait(self, key: bytes) -> bytes | None:
        env = self.env
        try:
            with env.begin() as txn:
                return self._shelf.read(txn, shelf_key(key))
        except FAULTS as error:
            raise env.away(error) from error

    def set_nowait(
        self, key: bytes, value: bytes, ttl: float | None = None, expected: bytes | Expect | None = ANYTHING
    ) -> bool:
        place = shelf_key(key)

        def work(txn: Transaction) -> bool:
            now = now_us()
            if expected is not ANYTHING and not _same(self._shelf.find(txn, place, now), expected):
                return False
            return self._shelf.put_within(txn, place, value, ends_at(ttl, now), now)

        return self._shelf.write(work)

    def delete_nowait(self, key: bytes, expected: bytes | Expect | None = ANYTHING) -> bool:
        place = shelf_key(key)

        def work(txn: Transaction) -> bool:
            held = self._shelf.find(txn, place, now_us())
            if held is None or (expected is not ANYTHING and not _same(held, expected)):
                return False
            return bool(self._shelf.remove(txn, place))

        return self._shelf.write(work)

    def expire_nowait(self, key: bytes, ttl: float) -> bool:
        place = shelf_key(key)

        def work(txn: Transaction) -> bool:
            now = now_us()
            held = self._shelf.find(txn, place, now)
            return held is not None and self._shelf.put_within(
                txn, place, bytes(held), ends_at(ttl or None, now), now
            )

        return self._shelf.write(work)

    def increment_nowait(self, key: bytes, delta: int) -> int:
        place = shelf_key(key)

        def work(txn: Transaction) -> int:
            now = now_us()
            held, ends = self._shelf.find_with_end(txn, place, now)
            total = whole_number(None if held is None else bytes(held)) + delta
            self._shelf.put_within(txn, place, b"%d" % total, ends, now)
            return total

        return self._shelf.write(work)

    def clear_nowait(self, prefix: bytes) -> None:
        """Remove in batches, so that other workers can write in between."""
        if not prefix:
            self._shelf.write(self._shelf.drop)
            return
        start = shelf_prefix(prefix)
        while self._shelf.write(lambda txn: self._shelf.remove_prefix(txn, start, _BATCH)):
            pass

    async def _set(
        self,
        key: bytes,
        value: bytes,
        ttl: float | None = None,
        _cas_token: bytes | None = None,
        _conn: object = None,
    ) -> bool:
        expected = ANYTHING if _cas_token is None else _cas_token
        if len(value) > _INLINE:
            return await self.env.in_thread(lambda: self.set_nowait(key, value, ttl, expected))
        if _cas_token is None:
            return await self._gathering.add((shelf_key(key), value, ttl))
        return self.set_nowait(key, value, ttl, expected)

    def _put_all(self, puts: Sequence[Put]) -> list[bool]:
        def work(txn: Transaction) -> list[bool]:
            now = now_us()
            return [
                self._shelf.put_within(txn, place, value, ends_at(ttl, now), now)
                for place, value, ttl in puts
            ]

        return self._shelf.write(work)

    async def _multi_set(
        self, pairs: Iterable[tuple[bytes, bytes]], ttl: float | None = None, _conn: object = None
    ) -> bool:
        puts = [(shelf_key(key), value, ttl) for key, value in pairs]
        await self.env.in_thread(lambda: self._put_all(puts))
        return True

    async def _clear(self, namespace: str | bytes | None = None, _conn: object = None) -> bool:
        await self.env.in_thread(lambda: self.clear_nowait(as_bytes(namespace or b"")))
        return True


def _same(held: memoryview | None, expected: object) -> bool:
    return held is expected if held is None else held == expected
