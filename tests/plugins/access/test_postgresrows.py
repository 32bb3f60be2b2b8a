from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from tests.postgresserver import PostgresServer

from llmproxy.plugin import Postgres, PostgresAway, PostgresUrl, StartError
from llmproxy_access.database import Database
from llmproxy_access.issuing import Pepper
from llmproxy_access.postgresrows import PostgresRows, open_postgres
from llmproxy_access.records import AccountOrder, KeyOrder, OrderRefused

from .conftest import PEPPER, Wall

Open = Callable[[], Database]


@pytest.fixture
def reach(postgres_url: str, wall: Wall) -> Iterator[Open]:
    """Come to one database once more."""
    with ExitStack() as held:
        yield lambda: held.enter_context(open_postgres(PostgresUrl(postgres_url), PEPPER, wall))


def test_many_may_make_the_tables_and_change_them_at_once(reach: Open) -> None:
    def work(number: int) -> int:
        database = reach()
        made = 0
        for each in range(3):
            try:
                database.create(KeyOrder(name=f"key-{(number + each) % 6}", tenant="shop"))
                made += 1
            except OrderRefused:
                continue
        return made

    with ThreadPoolExecutor(6) as threads:
        made = sum(threads.map(work, range(6)))
    contents = reach().read()

    assert made == 6
    assert [key.name for key in contents.keys] == [f"key-{number}" for number in range(6)]
    assert contents.version == 7


def test_a_key_is_in_no_table(reach: Open, postgres_url: str) -> None:
    database = reach()
    database.put("team", "search", AccountOrder(tenant="shop"))
    issued = database.create(KeyOrder(name="web", team="search"))
    tables = [
        str(database._rows.all(f"SELECT * FROM {table}"))
        for table in ("keys", "secrets", "accounts", "state", "marks")
    ]

    assert issued.id in tables[1]
    assert all(issued.key.rpartition("-")[2] not in table for table in tables)
    assert all("pepper-0123" not in table for table in tables)


def test_a_refused_change_leaves_nothing_and_the_connection_good(reach: Open) -> None:
    database = reach()
    backend = database._rows.all("SELECT pg_backend_pid()")
    with pytest.raises(OrderRefused, match="no team"):
        database.create(KeyOrder(name="web", team="nobody"))

    assert database.version() == 1
    assert database._rows.all("SELECT pg_backend_pid()") == backend


def test_a_block_of_reading_sees_one_moment(reach: Open) -> None:
    one, other = reach(), reach()
    with one._rows.reading():
        before = one.version()
        other.create(KeyOrder(name="web", tenant="shop"))
        during = one.version()

    assert (before, during, one.version()) == (1, 1, 2)


@pytest.mark.parametrize("name", ["nul\0", "\ud800", "é" * 300, "'; DROP TABLE keys; --"])
def test_what_can_be_no_name_is_not_there(reach: Open, name: str) -> None:
    database = reach()
    for ask in (database.key, database.revoke, lambda name: database.rotate(name, 0)):
        with pytest.raises(OrderRefused) as caught:
            ask(name)
        assert caught.value.status == 404


def test_another_pepper_is_told(reach: Open, postgres_url: str, wall: Wall) -> None:
    reach()

    with (
        pytest.raises(StartError, match=r"database\.pepper"),
        open_postgres(PostgresUrl(postgres_url), Pepper("another-0123456789abcdef-0123456789"), wall),
    ):
        pass


def test_a_database_that_is_away_is_told_by_its_place(wall: Wall) -> None:
    url = PostgresUrl("postgres://gateway:canary@127.0.0.1:1/keys")

    with (
        pytest.raises(PostgresAway, match=r"127\.0\.0\.1:1/keys") as caught,
        open_postgres(url, PEPPER, wall),
    ):
        pass
    assert "canary" not in str(caught.value)


async def test_who_waits_is_released_when_it_is_given_up(own_postgres: PostgresServer, wall: Wall) -> None:
    loop = asyncio.get_running_loop()
    postgres = Postgres(PostgresUrl(own_postgres.url()), "llmproxy_access", connections=1)
    rows = PostgresRows(postgres, loop)
    with ThreadPoolExecutor(1) as thread:
        await loop.run_in_executor(thread, rows.build)
        database = await loop.run_in_executor(thread, lambda: Database(rows, PEPPER, wall))
        own_postgres.hang()
        waiting = loop.run_in_executor(thread, database.create, KeyOrder(name="web", tenant="shop"))
        await asyncio.sleep(0.05)
        rows.give_up()
        with pytest.raises(PostgresAway, match="closed"):
            await asyncio.wait_for(waiting, 3.0)
        await postgres.close()
        own_postgres.resume()
