"""Records in SQLite: any number of processes write one file, and anybody may read it meanwhile.

A batch is one transaction, so the numbers of records rise in the order in which they can be read: who has read to one of
them misses none before it. Bodies lie in a table of their own; where they can be searched, an index of their words does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import apsw

from llmproxy_calllog.asking import NEWEST, NotALog, question
from llmproxy_calllog.call import COLUMNS, Record, column_types
from llmproxy_calllog.filtering import Filter
from llmproxy_calllog.writer import Busy

#: What the file is, to SQLite and to `file`; and the form of its tables.
APPLICATION: Final = 0x6C6D_6C67
VERSION: Final = 1

_BUSY_MS: Final = 5000
#: Tries to prepare a file that others prepare too, seconds between two.
_TRIES: Final = 10
_PAUSE: Final = 0.2
#: Records deleted in one transaction, pages given back in one.
_STEP: Final = 500
_TYPES: Final = {"str": "TEXT NOT NULL", "int": "INTEGER", "float": "REAL"}
_SCHEMA: Final = (
    "CREATE TABLE calls (number INTEGER PRIMARY KEY AUTOINCREMENT, {columns})",
    "CREATE INDEX calls_at ON calls (at)",
    "CREATE INDEX calls_tenant ON calls (tenant, number)",
    "CREATE TABLE bodies (number INTEGER PRIMARY KEY, request TEXT, answer TEXT)",
    "CREATE VIRTUAL TABLE words USING fts5 (request, answer, content='', contentless_delete=1)",
)
_INSERT: Final = f"INSERT INTO calls ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  # constants


class Database:
    """The writing side; the file is made if it is not there, readable by its owner alone."""

    def __init__(self, path: Path, *, search: bool, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._search = search
        _create(path)
        self._db = apsw.Connection(str(path))
        try:
            self._db.set_busy_timeout(_BUSY_MS // _TRIES)
            self._prepare_in_turn()
            self._db.set_busy_timeout(_BUSY_MS)
        except BaseException:
            self._db.close()
            raise

    def _prepare_in_turn(self) -> None:
        """Wait for others that open the file now: not all that this takes can be waited for inside SQLite."""
        for tries in range(_TRIES, -1, -1):
            try:
                self._prepare()
                return
            except (Busy, apsw.BusyError):
                if not tries:
                    raise
                time.sleep(_PAUSE)

    def _prepare(self) -> None:
        if not _pragma(self._db, "user_version") and not _pragma(self._db, "page_count"):
            self._db.pragma("auto_vacuum", 2)  # gives pages back in steps; only an empty file can be told
        self._db.pragma("journal_mode", "wal")
        self._db.pragma("synchronous", 1)  # a record may be lost with the machine's power, the file not
        if not _pragma(self._db, "user_version"):
            with _Writing(self._db):
                self._make_tables()
        _check(self._db)

    def _make_tables(self) -> None:
        """Make the tables, unless somebody else just has."""
        if _pragma(self._db, "user_version"):
            return
        if _pragma(self._db, "application_id") or self._db.execute("SELECT 1 FROM sqlite_schema").fetchone():
            raise NotALog("it is the database of something else")
        columns = ", ".join(map(" ".join, column_types(_TYPES)))
        for statement in _SCHEMA:
            self._db.execute(statement.replace("{columns}", columns))
        self._db.pragma("application_id", APPLICATION)
        self._db.pragma("user_version", VERSION)

    def write(self, records: Sequence[Record]) -> None:
        """Keep records, all or none."""
        with _Writing(self._db):
            for bodies, row in groupby(records, _has_bodies):
                if not bodies:
                    self._db.executemany(_INSERT, [record.call for record in row])
                    continue
                for record in row:
                    self._db.execute(_INSERT, record.call)
                    self._write_bodies(self._db.last_insert_rowid(), record.request, record.answer)

    def _write_bodies(self, number: int, request: str | None, answer: str | None) -> None:
        row = number, request, answer
        self._db.execute("INSERT INTO bodies (number, request, answer) VALUES (?, ?, ?)", row)
        if self._search:
            self._db.execute("INSERT INTO words (rowid, request, answer) VALUES (?, ?, ?)", row)

    def tidy(self, keep: float | None, most: int | None) -> bool:
        """Delete a step's worth of what is too old, or of the oldest while all is too much."""
        deleted = 0
        if keep is not None:
            deleted = self._delete(
                "SELECT number FROM calls WHERE at < ? ORDER BY at LIMIT ?", self._wall() - keep
            )
        if not deleted and most is not None and self.used() > most:
            deleted = self._delete("SELECT number FROM calls WHERE number > ? ORDER BY number LIMIT ?", 0)
        try:
            self._db.execute(f"PRAGMA incremental_vacuum({_STEP})").fetchall()
        except apsw.BusyError as fault:
            raise Busy from fault
        return deleted == _STEP or (deleted > 0 and most is not None and self.used() > most)

    def _delete(self, which: str, bound: float) -> int:
        with _Writing(self._db):
            numbers = [(row[0],) for row in self._db.execute(which, (bound, _STEP))]
            for table, column in (("words", "rowid"), ("bodies", "number"), ("calls", "number")):
                self._db.executemany(f"DELETE FROM {table} WHERE {column} = ?", numbers)  # noqa: S608  # constants
        return len(numbers)

    def used(self) -> int:
        """Return the bytes that records take, without pages that are free."""
        pages = _pragma(self._db, "page_count") - _pragma(self._db, "freelist_count")
        return pages * _pragma(self._db, "page_size")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


class Reader:
    """The reading side; sees what is written meanwhile, and writes nothing."""

    def __init__(self, path: Path) -> None:
        try:
            path.stat()
        except OSError as fault:
            raise NotALog(fault.strerror or "it cannot be opened") from None
        try:
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._db.set_busy_timeout(_BUSY_MS)
            _check(self._db)
        except apsw.Error as fault:
            raise NotALog(f"SQLite cannot read it: {type(fault).__name__}") from None

    def read(self, wanted: Filter) -> list[dict[str, Any]]:
        """Return records as dictionaries, with their `number`; newest first, or oldest first behind `after`."""
        asked = question(wanted, _worded)
        return asked.told(self._db.execute(asked.query, tuple(asked.values)).fetchall())

    def newest(self) -> int:
        """Return the number of the newest record; 0 if there is none."""
        row = self._db.execute(NEWEST).fetchone()
        return (row and row[0]) or 0

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _worded(text: str) -> tuple[str, list[Any]]:
    """Ask for words that follow one another: nothing in them is an operator of FTS5."""
    phrase = '"' + text.replace("\0", " ").replace('"', '""') + '"'
    return "calls.number IN (SELECT rowid FROM words WHERE words MATCH ?)", [phrase]


def _create(path: Path) -> None:
    """Make the file its owner's alone. One that is there is left as it is, and unopened.

    To close a file ends all locks of this process on it (fcntl(2)), those of another connection too.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _has_bodies(record: Record) -> bool:
    return record.request is not None or record.answer is not None


class _Writing:
    """One transaction that writes, from its start on: no other can come between."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except apsw.BusyError as fault:
            raise Busy from fault

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        if fault is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _pragma(db: apsw.Connection, name: str) -> int:
    return int(db.pragma(name) or 0)


def _check(db: apsw.Connection) -> None:
    if _pragma(db, "application_id") != APPLICATION:
        raise NotALog("it is no log of calls")
    if _pragma(db, "user_version") != VERSION:
        raise NotALog("it is of another version of the gateway")
