"""Reservations of one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from llmproxy.stores import reserved_rows
from llmproxy.stores.interface import StoreAway
from llmproxy.stores.reserved_rows import Held
from llmproxy.stores.reserving import Claim, Row, Verdict
from llmproxy.stores.shelf import now_us

_MOST: Final = 100_000
#: Marks that are there for nothing, besides as many as there are rows and reservations, before they are swept out.
_SPARE: Final = 1024


class MemoryReservations:
    """Limits of this process; refuses new rows over a fixed number rather than forget a live one."""

    def __init__(self, name: str, most: int = _MOST, clock: Callable[[], int] = now_us) -> None:
        self._name = name
        self._most = most
        self._clock = clock
        self._rows = MemoryRows()

    @property
    def holding(self) -> bool:
        """Whether there are reservations."""
        return bool(self._rows.helds)

    async def reserve(self, claim: Claim) -> Verdict:
        rows = self._rows
        if len(rows.rows) + len(rows.helds) >= self._most:
            reserved_rows.sweep(rows, self._clock())
            if len(rows.rows) + len(rows.helds) >= self._most:
                raise StoreAway(f"store {self._name} holds {self._most} limits and reservations already")
        return reserved_rows.reserve(rows, claim, self._clock())

    async def settle(self, claim: Claim, actual: Sequence[int]) -> bool:
        return self.settle_nowait(claim, actual)

    def settle_nowait(self, claim: Claim, actual: Sequence[int]) -> bool:
        """Settle here and now."""
        return reserved_rows.settle(self._rows, claim, actual, self._clock())

    async def renew(self, claims: Sequence[Claim]) -> int:
        return reserved_rows.renew(self._rows, claims, self._clock())


class MemoryRows:
    """Rows in dictionaries; a mark that was taken back stays until its time, or until half of them are such."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Row] = {}
        self.helds: dict[bytes, Held] = {}
        self._marks: list[tuple[int, bytes]] = []
        self.row = self.rows.get
        self.put_row = self.rows.__setitem__
        self.drop_row = self.rows.__delitem__
        self.held = self.helds.get
        self.put_held = self.helds.__setitem__
        self.drop_held = self.helds.__delitem__

    def mark(self, at: int, what: bytes) -> None:
        if len(self._marks) > 2 * (len(self.rows) + len(self.helds)) + _SPARE:
            self._marks = [each for each in self._marks if self._is_there(each[1])]
            heapify(self._marks)
        heappush(self._marks, (at, what))

    def unmark(self, at: int, what: bytes) -> None:
        pass

    def _is_there(self, what: bytes) -> bool:
        return what[1:] in (self.rows if what[:1] == b"r" else self.helds)

    def tallied(self, held: Held) -> None:
        """Nothing is taken in advance: what ends with its process needs none."""

    def untally(self, held: Held) -> None:
        pass

    def next_mark(self, until: int) -> tuple[int, bytes] | None:
        marks = self._marks
        while marks and marks[0][0] <= until:
            mark = heappop(marks)
            if self._is_there(mark[1]):
                return mark
        return None
