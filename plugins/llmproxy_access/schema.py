"""A database's rows as statements ask for them, and those of SQLite: its tables, how it is opened."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, cast

import apsw

from llmproxy.plugin import StartError

#: The version of the tables below.
VERSION: Final = 1
#: Milliseconds for which a writer waits for another.
_PATIENCE: Final = 5000

_TABLES: Final = """
CREATE TABLE state (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE accounts (
    kind TEXT NOT NULL, name TEXT NOT NULL, tenant TEXT NOT NULL, org TEXT, models TEXT, routes TEXT,
    created REAL NOT NULL, PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE keys (
    name TEXT PRIMARY KEY, tenant TEXT NOT NULL, org TEXT, team TEXT, user TEXT, models TEXT, routes TEXT,
    created REAL NOT NULL, revoked REAL
) STRICT, WITHOUT ROWID;
CREATE TABLE secrets (
    id TEXT PRIMARY KEY, key TEXT NOT NULL REFERENCES keys (name), digest BLOB NOT NULL,
    created REAL NOT NULL, expires REAL, revoked REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX secrets_of_keys ON secrets (key);
INSERT INTO state VALUES ('version', 1);
PRAGMA user_version = 1;
"""


def connect(path: Path) -> apsw.Connection:
    """Open the database for one thread, and make it if there is none; nobody else on the machine may read it.

    Raises:
        StartError: it is of a newer gateway.
        OSError: its folder cannot be written.
        apsw.Error: it is no database, or cannot be opened.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(_PATIENCE)
        _set_up(connection)
        with _transaction(connection, "IMMEDIATE"):
            found = connection.pragma("user_version")
            if found == 0:
                connection.execute(_TABLES)
            elif found != VERSION:
                raise StartError(f"{path}: its tables are version {found}; this gateway knows {VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


class Rows(Protocol):
    """Rows as one thread finds and changes them, by statements that all databases understand; `?` stands for a value."""

    def reading(self) -> AbstractContextManager[None]:
        """See one moment in a whole block."""

    def changing(self) -> AbstractContextManager[None]:
        """Do all of a block or nothing of it, one such block at a time, and count the version up."""

    def run(self, statement: str, *values: Any) -> None:
        """Do what changes something."""

    def all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return all rows."""

    def found(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row, None if there is none."""

    def version(self) -> int:
        """Return how often they were changed."""

    def mark(self, mark: bytes) -> bytes:
        """Keep whose the rows are, if nobody has; return what is kept."""

    def close(self) -> None:
        """Close the connection."""


class FileRows:
    """The rows of an SQLite file."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See one moment in a whole block."""
        with _transaction(self._connection, "DEFERRED"):
            yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Do all of a block or nothing of it, and count the version up."""
        with _transaction(self._connection, "IMMEDIATE"):
            yield
            self.run("UPDATE state SET value = value + 1 WHERE name = 'version'")

    def run(self, statement: str, *values: Any) -> None:
        """Do what changes something."""
        self._connection.execute(statement, values)

    def all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return self._connection.execute(statement, values).fetchall()

    def found(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row, None if there is none."""
        return next(iter(self.all(statement, *values)), None)

    def version(self) -> int:
        """Return how often they were changed."""
        found = self.found("SELECT value FROM state WHERE name = 'version'")
        return 0 if found is None else cast("int", found[0])

    def mark(self, mark: bytes) -> bytes:
        """Keep whose the rows are, if nobody has; return what is kept."""
        self.run("INSERT INTO state VALUES ('pepper', ?) ON CONFLICT DO NOTHING", mark)
        found = self.found("SELECT value FROM state WHERE name = 'pepper'")
        return b"" if found is None else cast("bytes", found[0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def _transaction(connection: apsw.Connection, kind: str) -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _set_up(connection: apsw.Connection) -> None:
    # SQLite does not wait for others while it changes to WAL: workers that start together would fail.
    for attempt in range(50):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except apsw.BusyError:
            if attempt == 49:
                raise
            time.sleep(0.1)
    connection.execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF")
