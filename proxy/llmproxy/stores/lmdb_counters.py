"""Counters in an LMDB environment of their own: one write transaction an addition, exact across workers.

Nothing live is ever evicted: when the map is full, counting fails and the caller's policy decides.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import lmdb

from llmproxy.stores.environment import FAULTS, Environment, Transaction
from llmproxy.stores.interface import StoreAway
from llmproxy.stores.shelf import ends_at, now_us, shelf_key

_TABLES: Final = ("counts", "expiries")
_COUNT: Final = struct.Struct(">Qq")  # end of life in microseconds since the epoch (0: none), sum
_END: Final = struct.Struct(">Q")
_SWEEP: Final = 2  # ended counters removed by each addition: more than it can add


class LmdbCounters:
    """Counters in `directory`, opened when first used."""

    def __init__(self, directory: Path, map_size: int) -> None:
        self._directory = directory
        self._map_size = map_size
        self._env: Environment | None = None

    async def increment(self, key: bytes, by: int = 1, ttl: float | None = None) -> int:
        place = shelf_key(key)
        try:
            return self._opened().write(lambda txn: self._add(txn, place, by, ttl))
        except lmdb.MapFullError as error:
            raise StoreAway(f"store {self._directory} is full") from error

    async def get_counter(self, key: bytes) -> int:
        env = self._opened()
        try:
            with env.begin() as txn:
                return self._read(txn, shelf_key(key), now_us())[1]
        except FAULTS as error:
            raise env.away(error) from error

    def check_readers(self) -> int:
        """Free the reader slots of processes that died, and return how many there were."""
        return 0 if self._env is None else self._env.check_readers()

    def close(self) -> None:
        if self._env is not None:
            self._env.release()
            self._env = None

    def _opened(self) -> Environment:
        if self._env is None:
            self._env = Environment.acquire(self._directory, self._map_size, _TABLES)
        return self._env

    def _read(self, txn: Transaction, place: bytes, now: int) -> tuple[int, int]:
        """Return end of life and sum; a counter that has ended is a new one at 0."""
        row = txn.get(place, db=self._opened().tables[0])
        if row is None:
            return 0, 0
        ends, total = _COUNT.unpack(row)
        return (0, 0) if 0 < ends <= now else (ends, total)

    def _add(self, txn: Transaction, place: bytes, by: int, ttl: float | None) -> int:
        counts, expiries = self._opened().tables
        now = now_us()
        self._sweep(txn, now)
        ends, total = self._read(txn, place, now)
        if not ends and not total:
            ends = ends_at(ttl, now)
            if ends:
                txn.put(_END.pack(ends) + place, b"", db=expiries)
        txn.put(place, _COUNT.pack(ends, total + by), db=counts)
        return total + by

    def _sweep(self, txn: Transaction, now: int) -> None:
        counts, expiries = self._opened().tables
        with txn.cursor(expiries) as cursor:
            for _ in range(_SWEEP):
                if not cursor.first() or _END.unpack_from(cursor.key())[0] > now:
                    return
                place = bytes(cursor.key()[_END.size :])
                cursor.delete()
                if self._read(txn, place, now) == (0, 0):
                    txn.delete(place, db=counts)
