"""Counters in an LMDB environment of their own: one write transaction an addition, exact across workers.

Nothing live is ever evicted: when the map is full, counting fails and the caller's policy decides.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from llmproxy.stores.environment import FAULTS, Transaction
from llmproxy.stores.late_environment import LateEnvironment
from llmproxy.stores.shelf import ends_at, now_us, shelf_key

_TABLES: Final = ("counts", "expiries")
_COUNT: Final = struct.Struct(">Qq")  # end of life in microseconds since the epoch (0: none), sum
_END: Final = struct.Struct(">Q")
_SWEEP: Final = 2  # ended counters removed by each addition: more than it can add


class LmdbCounters:
    """Counters in `directory`, opened when first used."""

    def __init__(self, directory: Path, map_size: int) -> None:
        self._env = LateEnvironment(directory, map_size, _TABLES)

    async def increment(self, key: bytes, by: int = 1, ttl: float | None = None) -> int:
        place = shelf_key(key)
        return self._env.write(lambda txn: self._add(txn, place, by, ttl))

    async def get_counter(self, key: bytes) -> int:
        env = self._env.opened
        try:
            with env.begin() as txn:
                return self._read(txn, shelf_key(key), now_us())[1]
        except FAULTS as error:
            raise env.away(error) from error

    def check_readers(self) -> int:
        """Free the reader slots of processes that died, and return how many there were."""
        return self._env.check_readers()

    def close(self) -> None:
        self._env.close()

    def _read(self, txn: Transaction, place: bytes, now: int) -> tuple[int, int]:
        """Return end of life and sum; a counter that has ended is a new one at 0."""
        row = txn.get(place, db=self._env.opened.tables[0])
        if row is None:
            return 0, 0
        ends, total = _COUNT.unpack(row)
        return (0, 0) if 0 < ends <= now else (ends, total)

    def _add(self, txn: Transaction, place: bytes, by: int, ttl: float | None) -> int:
        counts, expiries = self._env.opened.tables
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
        counts, expiries = self._env.opened.tables
        with txn.cursor(expiries) as cursor:
            for _ in range(_SWEEP):
                if not cursor.first() or _END.unpack_from(cursor.key())[0] > now:
                    return
                place = bytes(cursor.key()[_END.size :])
                cursor.delete()
                if self._read(txn, place, now) == (0, 0):
                    txn.delete(place, db=counts)
