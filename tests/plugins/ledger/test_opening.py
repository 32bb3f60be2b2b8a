from __future__ import annotations

from pathlib import Path

import pytest

from llmproxy.plugin import PostgresUrl
from llmproxy_ledger.books import FILE, Books
from llmproxy_ledger.config import DatabaseConfig, LedgerConfig
from llmproxy_ledger.opening import NoLedger, Place, open_books, place_of
from llmproxy_ledger.reporting import Period, rows

from .conftest import SharedBooks
from .test_books import settled


def test_a_ledger_is_where_its_configuration_says(tmp_path: Path) -> None:
    url = PostgresUrl("postgres://db/one")
    beside = LedgerConfig(directory="d")
    shared = LedgerConfig(directory="d", database=DatabaseConfig(url=url))

    assert [place_of(config) for config in (beside, shared)] == [
        Place(Path("d"), None),
        Place(Path("d"), url),
    ]


def test_a_file_is_read(tmp_path: Path) -> None:
    Books(tmp_path / FILE).close()
    books = open_books(Place(tmp_path, None))

    assert list(rows(books, Period())) == []
    books.close()


def test_a_postgres_is_read(postgres_url: str) -> None:
    shared = SharedBooks(postgres_url)
    shared.post([("j", settled("a"))])
    shared.close()
    books = open_books(Place(None, PostgresUrl(postgres_url)))

    assert [row["entry"] for row in rows(books, Period())] == ["a"]
    books.close()


def test_where_there_is_none_nothing_is_made(tmp_path: Path, postgres_url: str) -> None:
    for place in (Place(tmp_path, None), Place(None, PostgresUrl(postgres_url))):
        for _ in range(2):
            with pytest.raises(NoLedger, match="there is no ledger"):
                open_books(place)


def test_a_postgres_that_is_away_is_told_without_its_password() -> None:
    with pytest.raises(NoLedger, match=r"127\.0\.0\.1:9/x is away") as caught:
        open_books(Place(None, PostgresUrl("postgres://me:secret@127.0.0.1:9/x")))

    assert "secret" not in str(caught.value)
