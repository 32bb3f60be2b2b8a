from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.postgresserver import PostgresServer

from llmproxy.plugin import BlockingPostgres, Postgres, PostgresAway, PostgresUrl
from llmproxy.postgresblocking import numbered_places

STEPS = ("CREATE TABLE told (number bigint)", "INSERT INTO told SELECT * FROM generate_series(1, 5000)")
Opened = Callable[[str], BlockingPostgres]


@pytest.fixture
def opened() -> Iterator[Opened]:
    made = []

    def make(url: str) -> BlockingPostgres:
        made.append(BlockingPostgres(Postgres(PostgresUrl(url), "llmproxy_test", within=2.0)))
        return made[-1]

    yield make
    for each in made:
        each.close()


async def count(connection: Any) -> Any:
    return await connection.fetchval("SELECT count(*) FROM told")


async def add(connection: Any) -> Any:
    return await connection.execute("INSERT INTO told VALUES (0)")


def test_it_is_asked_from_one_thread_after_another(opened: Opened, postgres_url: str) -> None:
    database, found = opened(postgres_url), []
    database.build("told", STEPS)
    threads = [threading.Thread(target=lambda: found.append(database.run(count))) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()

    assert found == [5000] * 3


def test_a_snapshot_shows_what_was_there_when_it_began(opened: Opened, postgres_url: str) -> None:
    database, other = opened(postgres_url), opened(postgres_url)
    database.build("told", STEPS)
    snapshot = database.snapshot()
    rows = snapshot.ask("SELECT number, count(*) OVER () FROM told WHERE number > ? OR number = ?", (4999, 0))
    first = next(rows)
    other.run(add)
    again = list(snapshot.ask("SELECT number FROM told WHERE number < ?", (3,)))
    rest = list(rows)
    snapshot.close()

    assert (first, rest) == ((5000, 1), [])
    assert sorted(again) == [(1,), (2,)]
    assert other.run(count) == 5001


def test_more_rows_than_a_page_are_all_given(opened: Opened, postgres_url: str) -> None:
    database = opened(postgres_url)
    database.build("told", STEPS)
    snapshot = database.snapshot()
    found = [number for (number,) in snapshot.ask("SELECT number FROM told ORDER BY 1")]
    snapshot.close()

    assert found == list(range(1, 5001))


def test_nothing_is_written_by_way_of_a_snapshot(opened: Opened, postgres_url: str) -> None:
    database = opened(postgres_url)
    database.build("told", STEPS)
    snapshot = database.snapshot()
    with pytest.raises(PostgresAway, match="ReadOnly"):
        list(snapshot.ask("INSERT INTO told VALUES (0) RETURNING number"))
    snapshot.close()


def test_a_server_that_goes_away_ends_a_snapshot(opened: Opened, own_postgres: PostgresServer) -> None:
    database = opened(own_postgres.url())
    database.build("told", STEPS)
    snapshot = database.snapshot()
    rows = snapshot.ask("SELECT number FROM told")
    next(rows)
    own_postgres.kill()
    with pytest.raises(PostgresAway):
        list(rows)
    snapshot.close()
    own_postgres.start()
    while True:
        try:
            assert database.run(count) == 5000
            break
        except PostgresAway:
            threading.Event().wait(0.05)


def test_values_are_numbered_in_their_order() -> None:
    assert numbered_places("a = ? AND b IN (?, ?)") == "a = $1 AND b IN ($2, $3)"
    assert numbered_places("nothing") == "nothing"
