"""Entries in an LMDB environment, with the two orders in which they go: by end of life, and by age."""

from __future__ import annotations

import struct
import time
from hashlib import blake2b
from math import inf
from typing import Final

from llmproxy.stores.environment import Environment, Tables, Transaction

TABLES: Final = ("entries", "inserted", "expiries")

# Before each value: format, end of life (microseconds since the epoch, 0: none), stamp.
_HEADER: Final = struct.Struct(">BQQ")
_FORMAT: Final = 1
_VALUE: Final = slice(_HEADER.size, None)
_STAMP: Final = struct.Struct(">Q")
_EXPIRY: Final = struct.Struct(">QQ")

_ROWS: Final = 80  # header, stamp, expiry and LMDB's node headers

_FOREVER: Final = 10_000 * 365 * 86400.0
_LONGEST_KEY: Final = 480  # LMDB's own limit is 511


def now_us() -> int:
    """Read the wall clock: entries outlive the process, and with it any monotonic clock."""
    return time.time_ns() // 1000


def ends_at(ttl: float | None, now: int) -> int:
    """Return the end of a life of `ttl` seconds, as the header holds it."""
    return 0 if ttl is None else now + int(min(ttl, _FOREVER) * 1_000_000)


def entry_size(key: bytes, value: bytes | memoryview) -> int:
    """Estimate the bytes that an entry takes, its index rows included."""
    return 2 * len(key) + len(value) + _ROWS


def shelf_key(key: bytes) -> bytes:
    """Return `key` as LMDB can hold it: a long one keeps its beginning and gets a digest (told by length)."""
    if len(key) < _LONGEST_KEY:
        return key
    return key[: _LONGEST_KEY - 32] + blake2b(key, digest_size=32).digest()


def shelf_prefix(prefix: bytes) -> bytes:
    """Return what every `shelf_key` of a key with this prefix begins with."""
    return prefix[: _LONGEST_KEY - 32]


class Shelf:
    """The three tables of one environment; every method works inside the caller's transaction."""

    def __init__(self, env: Environment) -> None:
        self.take(env.tables)
        env.users.add(self)
        self._writes = 0
        #: How many entries this process removed, by reason.
        self.evictions = dict.fromkeys(("size", "expired", "replaced"), 0)

    def take(self, tables: Tables) -> None:
        """Use these tables from now on."""
        self._entries, self._inserted, self._expiries = tables

    def find(self, txn: Transaction, key: bytes, now: int) -> memoryview | None:
        """Return the live value, valid until the transaction ends."""
        return self.find_with_end(txn, key, now)[0]

    def find_with_end(self, txn: Transaction, key: bytes, now: int) -> tuple[memoryview | None, int]:
        """Return the live value and its end of life."""
        row = txn.get(key, db=self._entries)
        if row is None:
            return None, 0
        form, ends, _ = _HEADER.unpack_from(row)
        if form != _FORMAT or 0 < ends <= now:
            return None, 0
        return row[_HEADER.size :], ends

    def read(self, txn: Transaction, key: bytes) -> bytes | None:
        """Return the live value itself: copied once, with nothing called that need not be."""
        row = txn.get(key, None, self._entries)
        if row is None:
            return None
        form, ends, _ = _HEADER.unpack_from(row)
        if form != _FORMAT or 0 < ends <= time.time_ns() // 1000:
            return None
        return bytes(row[_VALUE])

    def put(self, txn: Transaction, key: bytes, value: bytes, ends: int) -> None:
        """Put an entry, as the newest, in place of any under its key."""
        if self.remove(txn, key):
            self.evictions["replaced"] += 1
        # Ids of write transactions only grow, in all processes together; the count orders within one.
        self._writes = (self._writes + 1) & 0xFFFFF
        stamp = txn.id() << 20 | self._writes
        txn.put(key, _HEADER.pack(_FORMAT, ends, stamp) + value, db=self._entries)
        txn.put(_STAMP.pack(stamp), key, db=self._inserted)
        if ends:
            txn.put(_EXPIRY.pack(ends, stamp), key, db=self._expiries)

    def remove(self, txn: Transaction, key: bytes) -> int:
        """Remove an entry, live or not, and return the bytes it took, 0 if there was none."""
        row = txn.get(key, db=self._entries)
        if row is None:
            return 0
        size = entry_size(key, row)
        _, ends, stamp = _HEADER.unpack_from(row)
        row.release()
        txn.delete(key, db=self._entries)
        txn.delete(_STAMP.pack(stamp), db=self._inserted)
        if ends:
            txn.delete(_EXPIRY.pack(ends, stamp), db=self._expiries)
        return size

    def sweep(self, txn: Transaction, now: int, limit: int) -> None:
        """Remove up to `limit` entries whose life is over."""
        with txn.cursor(self._expiries) as cursor:
            for _ in range(limit):
                if not cursor.first() or _EXPIRY.unpack(cursor.key())[0] > now:
                    return
                if self.remove(txn, bytes(cursor.value())):
                    self.evictions["expired"] += 1
                else:
                    cursor.delete()

    def evict(self, txn: Transaction, limit: int, size: float = inf) -> None:
        """Remove the oldest entries, up to `limit` of them, until they took `size` bytes."""
        with txn.cursor(self._inserted) as cursor:
            for _ in range(limit):
                if size <= 0 or not cursor.first():
                    return
                removed = self.remove(txn, bytes(cursor.value()))
                if removed:
                    self.evictions["size"] += 1
                else:
                    cursor.delete()
                size -= removed

    def remove_prefix(self, txn: Transaction, prefix: bytes, limit: int) -> int:
        """Remove up to `limit` entries whose keys begin with `prefix` and return how many there were."""
        with txn.cursor(self._entries) as cursor:
            for count in range(limit):
                if not cursor.set_range(prefix):
                    return count
                key = bytes(cursor.key())
                if not key.startswith(prefix):
                    return count
                self.remove(txn, key)
        return limit

    def touch(self, txn: Transaction) -> None:
        """Write a row and take it back, so that the transaction counts as one."""
        row = _STAMP.pack(0)
        txn.put(row, b"", db=self._inserted)
        txn.delete(row, db=self._inserted)

    def drop(self, txn: Transaction) -> None:
        """Remove everything at once."""
        for table in (self._entries, self._inserted, self._expiries):
            txn.drop(table, delete=False)
