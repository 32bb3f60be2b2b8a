"""Where a ledger is, and how it is opened by who only reads it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import apsw

from llmproxy.plugin import BlockingPostgres, Postgres, PostgresAway, PostgresUrl
from llmproxy_ledger.books import FILE, Books
from llmproxy_ledger.config import SCHEMA, LedgerConfig
from llmproxy_ledger.entries import ReadBooks


class NoLedger(Exception):
    """There is none, or it cannot be read now; the message says where."""


class Place(NamedTuple):
    """Where the journals are, if that is known, and the database, if it is not the file beside them."""

    directory: Path | None
    url: PostgresUrl | None


def place_of(config: LedgerConfig) -> Place:
    """Return where a configured ledger is."""
    return Place(Path(config.directory), None if config.database is None else config.database.url)


def open_books(place: Place) -> ReadBooks:
    """Open a ledger for reading; nothing is made.

    Raises:
        NoLedger: there is none.
    """
    if place.url is not None:
        return _open_postgres(place.url)
    assert place.directory is not None
    try:
        return Books(place.directory / FILE, reading=True)
    except apsw.CantOpenError:
        raise NoLedger(f"there is no ledger in {str(place.directory)!r}") from None


def _open_postgres(url: PostgresUrl) -> ReadBooks:
    from llmproxy_ledger.postgresbooks import PostgresReading  # noqa: PLC0415  # most ledgers are in a file

    try:
        books = PostgresReading(BlockingPostgres(Postgres(url, SCHEMA, connections=1)))
    except PostgresAway as fault:
        raise NoLedger(str(fault)) from None
    if books.is_there():
        return books
    books.close()
    raise NoLedger(f"there is no ledger at {url.place}")
