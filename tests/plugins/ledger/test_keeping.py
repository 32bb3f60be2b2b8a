import asyncio
from pathlib import Path

import pytest

from llmproxy.plugin import Metrics, StartError
from llmproxy_ledger.books import FILE
from llmproxy_ledger.config import LedgerConfig
from llmproxy_ledger.keeping import Meters, keep

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
