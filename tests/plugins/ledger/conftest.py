"""Empty books in each of the databases: what is asked of them is told alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from llmproxy.plugin import BlockingPostgres, Postgres, PostgresUrl, Tiers
from llmproxy_ledger.books import FILE, Books
from llmproxy_ledger.config import SCHEMA
from llmproxy_ledger.entries import ReadBooks
from llmproxy_ledger.postgresbooks import DIALECT, PostgresBooks, PostgresReading
from llmproxy_ledger.records import Record


class BothBooks(ReadBooks, Protocol):
    """Books for who writes and for who reads."""

    def post(self, records: Iterable[tuple[str, Record]]) -> int: ...


class SharedBooks:
    """A Postgres, read anew by each question."""

    dialect = DIALECT

    def __init__(self, url: str) -> None:
        self._url = PostgresUrl(url)
        self._writing = PostgresBooks(self._database(), "one")
        self._reading: list[PostgresReading] = []

    def _database(self) -> BlockingPostgres:
        return BlockingPostgres(Postgres(self._url, SCHEMA))

    def _read(self) -> PostgresReading:
        self._reading.append(PostgresReading(self._database()))
        return self._reading[-1]

    def post(self, records: Iterable[tuple[str, Record]]) -> int:
        return self._writing.post(records)

    def rates(self, version: str) -> Tiers:
        return self._read().rates(version)

    def ask(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        return self._read().ask(query, values)

    def close(self) -> None:
        for each in (*self._reading, self._writing):
            each.close()


@pytest.fixture(params=["sqlite", "postgres"])
def empty_books(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BothBooks]:
    books: BothBooks = (
        Books(tmp_path / FILE)
        if request.param == "sqlite"
        else SharedBooks(request.getfixturevalue("postgres_url"))
    )
    yield books
    books.close()
