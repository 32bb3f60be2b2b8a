"""What a journal's own process remembers of it, so that it need not read what it wrote to post it. Pure.

Rows are remembered until they are taken. Calls that go on are remembered until they end: the database hears once of
those whose segment is about to be removed, and of all where an exchange made more than one attempt, so that who reads
sees that none is missing; or of all in any case.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from llmproxy_ledger.records import Begun, Intent, Record, Row, Written

#: Rows that are remembered; when there are more, all are read from the files.
MOST: Final = 20_000
#: How the names of rows end that have none before them: of first attempts, and of exchanges that made none.
_FIRST: Final = ("/1", "/0")


class Remembered(NamedTuple):
    """What is to be posted: rows, None if they have to be read, and calls that go on."""

    rows: list[Record] | None
    calls: list[Record]


class Memory:
    """Records of one journal; used by one thread at a time."""

    __slots__ = ("_calls", "_rows", "_told")

    def __init__(self) -> None:
        #: None where they have to be read.
        self._rows: list[Record] | None = []
        #: Calls that go on, with their segments; None for those that the database has.
        self._calls: dict[str, tuple[Path, Begun | Intent] | None] = {}
        #: Calls that were told of last.
        self._told: list[str] = []

    def begin(self, record: Record, segment: Path) -> None:
        """Remember a call whose intent was written to a segment."""
        if isinstance(record, Begun | Intent):
            self._calls[record.entry] = segment, record
        else:
            self.add(record)

    def add(self, record: Record) -> None:
        """Remember another record that was written."""
        if isinstance(record, Written):
            self._calls.pop(record.values[0], None)
        elif isinstance(record, Row):
            self._calls.pop(record.entry, None)
        if self._rows is not None:
            self._rows.append(record)
            if len(self._rows) > MOST:
                self._rows = None

    def take(self, current: Path, *, every: bool = False) -> Remembered:
        """Return what is to be posted, with `every` call that goes on.

        `current` is the segment that is written to, the others are removed then.
        """
        rows, self._rows = self._rows, []
        every = every or rows is None or any(map(_is_further, rows))
        told = [held[1] for held in self._calls.values() if held and (every or held[0] != current)]
        self._told = [call.entry for call in told]
        return Remembered(rows, list(told))

    def posted(self) -> None:
        """Hear that what was taken was posted."""
        for entry in self._told:
            if entry in self._calls:  # its row may have come meanwhile
                self._calls[entry] = None
        self._told = []

    def forget(self) -> None:
        """Hear that it could not be, so that its rows have to be read."""
        self._rows, self._told = None, []


def _is_further(record: Record) -> bool:
    """Whether a row is of an attempt behind an exchange's first."""
    if isinstance(record, Written):
        return not record.values[1].endswith(_FIRST)
    return isinstance(record, Row) and not record.row.id.endswith(_FIRST)
