import asyncio
from functools import partial
from pathlib import Path

import pytest

from llmproxy.plugin import Metrics, Postgres, PostgresUrl, StartError
from llmproxy_ledger.books import FILE
from llmproxy_ledger.config import SCHEMA, DatabaseConfig, LedgerConfig
from llmproxy_ledger.keeping import Meters, keep
from llmproxy_ledger.opening import Place, open_books

from .stage import rows
from .test_books import PRICES, intended, settled


def config(directory: Path, **more: object) -> LedgerConfig:
    return LedgerConfig(directory=str(directory), **{"post_every": 60.0, **more})


async def test_what_was_written_is_in_the_database_when_it_is_left(tmp_path):
    told = []
    meters = Meters(Metrics(), lambda *line, **fields: told.append(line))
    async with keep(config(tmp_path), meters) as keeping:
        for record in (PRICES, intended("a"), settled("a"), settled("b")):
            keeping.journal.put(record)
    await asyncio.sleep(0)

    assert [row["entry"] for row in rows(tmp_path)] == ["a", "b"]
    assert meters.posted.value == 2
    assert [*tmp_path.glob("*.lock"), *tmp_path.glob("*.journal"), *told] == []


async def test_rows_are_posted_while_it_runs(tmp_path):
    meters = Meters(Metrics(), print)
    async with keep(config(tmp_path, post_every=0.01), meters) as keeping:
        keeping.journal.put(settled("a"))
        while not meters.posted.value:
            await asyncio.sleep(0.005)

        assert [row["entry"] for row in rows(tmp_path)] == ["a"]


async def test_without_a_database_the_journal_is_left_to_the_next(tmp_path):
    told, metrics = [], Metrics()
    meters = Meters(metrics, lambda event, **fields: told.append(event))
    (tmp_path / FILE).mkdir()
    async with keep(config(tmp_path), meters) as keeping:
        keeping.journal.put(settled("a"))
    (tmp_path / FILE).rmdir()
    async with keep(config(tmp_path), meters) as keeping:
        taken = await asyncio.to_thread(keeping.posting.take_over)
    await asyncio.sleep(0)

    assert (taken, told) == (0, ["ledger_fault"])
    assert [row["entry"] for row in rows(tmp_path)] == ["a"]


async def test_what_was_written_is_in_the_postgres_that_is_shared(tmp_path, postgres_url):
    metrics = Metrics()
    meters = Meters(metrics, print)
    shared = config(tmp_path, database=DatabaseConfig(url=PostgresUrl(postgres_url), instance="one"))
    postgres = partial(Postgres, PostgresUrl(postgres_url), SCHEMA)
    async with keep(shared, meters, postgres) as keeping:
        for record in (PRICES, intended("a"), settled("a"), settled("b")):
            keeping.journal.put(record)
        meters.wrote("exact")
        meters.wrote("exact")
        waiting = value(metrics, "llmproxy_ledger_unposted_rows")
    await asyncio.sleep(0)
    books = await asyncio.to_thread(open_books, Place(None, PostgresUrl(postgres_url)))
    found = await asyncio.to_thread(list, books.ask("SELECT entry, instance FROM attempts ORDER BY entry"))
    await asyncio.to_thread(books.close)

    assert found == [("a", "one"), ("b", "one")]
    assert (waiting, value(metrics, "llmproxy_ledger_unposted_rows"), meters.posted.value) == (2, 0, 2)
    assert not (tmp_path / FILE).exists()


async def test_a_postgres_that_is_away_is_counted_and_no_line_of_the_log(tmp_path):
    told, metrics = [], Metrics()
    meters = Meters(metrics, lambda event, **fields: told.append(event))
    postgres = partial(Postgres, PostgresUrl("postgres://127.0.0.1:9/x"), SCHEMA)
    async with keep(config(tmp_path, post_every=0.01), meters, postgres) as keeping:
        keeping.journal.put(settled("a"))
        while not value(metrics, "llmproxy_ledger_faults_total"):
            await asyncio.sleep(0.005)
    await asyncio.sleep(0)

    assert told == []
    assert value(metrics, "llmproxy_ledger_journal_bytes") > 100
    assert len(list(tmp_path.glob("*.journal"))) == 1


async def test_full_journals_are_told_once_and_so_is_their_end():
    told = []
    meters = Meters(Metrics(), lambda event, **fields: told.append((event, fields["bytes"])))
    for size, full in ((1, False), (9, True), (10, True), (2, False)):
        meters.held(size, full)
    await asyncio.sleep(0)

    assert told == [("ledger_journals_full", 9), ("ledger_journals_drained", 2)]


def value(metrics, name):
    return metrics.families([metrics.snapshot()])[name].series[()][0]


async def test_an_sqlite_that_may_spoil_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("llmproxy_ledger.keeping.apsw.sqlite_lib_version", lambda: "3.40.1")
    with pytest.raises(StartError, match="needs SQLite"):
        async with keep(config(tmp_path), Meters(Metrics(), print)):
            pass


async def test_an_upstream_without_prices_is_told_once():
    meters = Meters(Metrics(), print)

    assert [meters.first_unpriced(name) for name in ("a", "b", "a")] == [True, True, False]


async def test_lost_calls_are_counted_and_told():
    told, metrics = [], Metrics()
    meters = Meters(metrics, lambda event, **fields: told.append((event, fields)))
    meters.count_lost(0)
    meters.count_lost(3)
    await asyncio.sleep(0)

    assert told == [("ledger_calls_lost", {"calls": 3})]
