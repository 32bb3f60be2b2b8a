"""Reservations in an LMDB environment of their own: one write transaction a call, shared by the workers of a host.

Nothing live is ever evicted: when the map is full, reserving fails and the caller's policy decides.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from llmproxy.stores import advances, reserved_rows
from llmproxy.stores.advances import Advance
from llmproxy.stores.environment import Table, Transaction
from llmproxy.stores.late_environment import LateEnvironment
from llmproxy.stores.reserved_rows import NO_TALLY, Held
from llmproxy.stores.reserving import Claim, Row, Verdict
from llmproxy.stores.shelf import now_us
from llmproxy.stores.tallies import Tallies

T = TypeVar("T")

#: One table for all, because each that is written costs a page: marks come first, in the order of their times.
_TABLES: Final = ("limits",)
_MARK: Final = struct.Struct(">BQ")
_encode = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(list[int]).decode
_decode_held = msgspec.msgpack.Decoder(Held).decode


class LmdbReservations:
    """Reservations in `directory`, opened when first used."""

    def __init__(self, directory: Path, map_size: int, clock: Callable[[], int] = now_us) -> None:
        self._env = LateEnvironment(directory, map_size, _TABLES)
        self._directory = directory
        self._tallies: Tallies | None = None
        self.clock = clock

    async def reserve(self, claim: Claim) -> Verdict:
        return self._write(lambda rows: reserved_rows.reserve(rows, claim, self.clock()))

    async def settle(self, claim: Claim, actual: Sequence[int]) -> bool:
        return self.settle_nowait(claim, actual)

    def settle_nowait(self, claim: Claim, actual: Sequence[int]) -> bool:
        """Settle here and now."""
        return self._write(lambda rows: reserved_rows.settle(rows, claim, actual, self.clock()))

    async def renew(self, claims: Sequence[Claim]) -> int:
        return self._write(lambda rows: reserved_rows.renew(rows, claims, self.clock()))

    def advance(self, claim: Claim, times: int, life: int) -> Advance | None:
        """Take what up to so many claims like this one need within `life` microseconds; None where it is not to be had.

        Raises:
            StoreAway: it is not known whether it was taken; what was ends by itself.
        """
        return self._write(lambda rows: self._advance(rows, claim, times, life))

    def _advance(self, rows: LmdbRows, claim: Claim, times: int, life: int) -> Advance | None:
        now = self.clock()
        if not claim.lasting:
            return advances.begin(rows, claim, times, now, now + life, None)
        tallies = rows.tallies
        tally = None if tallies is None else tallies.take(now)
        if tally is None or tallies is None:
            return None
        advance = None
        try:
            advance = advances.begin(rows, claim, times, now, now + life, tally)
        finally:
            if advance is None:
                tallies.free(*tally.name)
        return advance

    def trim(self, advance: Advance, used: Sequence[int], *, last: bool) -> bool:
        """Give back what nobody used of an advance; hold the rest, or nothing more at the last."""
        return self._write(lambda rows: advances.trim(rows, advance, used, self.clock(), last=last))

    def check_readers(self) -> int:
        """Free the reader slots of processes that died, and return how many there were."""
        return self._env.check_readers()

    def close(self) -> None:
        self._env.close()

    def _write(self, work: Callable[[LmdbRows], T]) -> T:
        late, tallies = self._env, self._tallies
        if tallies is None:
            _ = late.opened  # makes the directory
            with suppress(OSError):  # without them nothing is taken in advance
                self._tallies = tallies = Tallies(self._directory / "tallies")
        return late.write(lambda txn: work(LmdbRows(txn, late.opened.tables[0], tallies)))


class LmdbRows:
    """Rows as one transaction sees them."""

    __slots__ = ("_db", "_delete", "_get", "_put", "_txn", "tallies")

    def __init__(self, txn: Transaction, table: Table, tallies: Tallies | None) -> None:
        self.tallies = tallies
        self._txn = txn
        self._db = table
        self._get, self._put, self._delete = txn.get, txn.put, txn.delete

    def row(self, name: bytes) -> Row | None:
        data = self._get(b"r" + name, None, self._db)
        return None if data is None else _decode_row(data)

    def put_row(self, name: bytes, row: Row) -> None:
        self._put(b"r" + name, _encode(row), db=self._db)

    def drop_row(self, name: bytes) -> None:
        self._delete(b"r" + name, db=self._db)

    def held(self, name: bytes) -> Held | None:
        data = self._get(b"h" + name, None, self._db)
        return None if data is None else _decode_held(data)

    def put_held(self, name: bytes, held: Held) -> None:
        # Most have no tally, and need no room for it.
        self._put(b"h" + name, _encode(held if held.tally != NO_TALLY else held[:-1]), db=self._db)

    def drop_held(self, name: bytes) -> None:
        self._delete(b"h" + name, db=self._db)

    def mark(self, at: int, what: bytes) -> None:
        self._put(_MARK.pack(0, max(at, 0)) + what, b"", db=self._db)

    def unmark(self, at: int, what: bytes) -> None:
        self._delete(_MARK.pack(0, max(at, 0)) + what, db=self._db)

    def tallied(self, held: Held) -> Sequence[int] | None:
        return None if self.tallies is None else self.tallies.read(*held.tally)

    def untally(self, held: Held) -> None:
        if self.tallies is not None:
            self.tallies.free(*held.tally)

    def next_mark(self, until: int) -> tuple[int, bytes] | None:
        cursor = self._txn.cursor(self._db)
        if not cursor.first():
            return None
        key = cursor.key()
        if key[0]:
            return None
        at = _MARK.unpack_from(key)[1]
        if at > until:
            return None
        what = bytes(key[_MARK.size :])
        cursor.delete()
        return at, what
