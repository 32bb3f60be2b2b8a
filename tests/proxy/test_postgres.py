from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from tests.postgresserver import PASSWORD, PostgresServer

from llmproxy.errors import StartError
from llmproxy.plugin import Clock, Metrics, Postgres, PostgresAway, PostgresUrl, postgres_of, postgres_value
from llmproxy.postgres import FIRST_PAUSE

Notices = list[PostgresAway | None]


class MovedClock(Clock):
    def __init__(self) -> None:
        self.time = 100.0
        self.now = lambda: self.time  # type: ignore[method-assign, assignment]


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[Postgres]:
    postgres = Postgres(PostgresUrl(url), "llmproxy_test", **settings)
    try:
        yield postgres
    finally:
        await postgres.close()


async def one(connection: Any) -> Any:
    return await connection.fetchval("SELECT 1")


async def backend(connection: Any) -> Any:
    return await connection.fetchval("SELECT pg_backend_pid()")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_connections_are_kept_and_never_more_than_allowed(postgres_url: str) -> None:
    async with opened(postgres_url, connections=2) as postgres:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(postgres.run(backend)) for _ in range(20)]

        assert 1 <= len({task.result() for task in tasks}) <= 2


async def test_a_place_is_not_waited_for_without_end(postgres_url: str) -> None:
    async with opened(postgres_url, connections=1) as postgres, postgres.connection():
        with pytest.raises(PostgresAway, match="busy"):
            await postgres.run(one, within=0.05)

        assert not postgres.is_away


async def test_each_new_connection_is_prepared(postgres_url: str) -> None:
    heard: list[str] = []

    async def prepare(connection: Any) -> None:
        await connection.add_listener("news", lambda *said: heard.append(said[-1]))

    async with opened(postgres_url, connections=1, prepare=prepare) as postgres:
        await postgres.run(lambda connection: connection.execute("SELECT pg_notify('news', 'now')"))
        await until(lambda: heard == ["now"])


async def test_steps_that_fail_leave_nothing_half_made(postgres_url: str) -> None:
    async with opened(postgres_url) as postgres:
        with pytest.raises(StartError, match="cannot be made"):
            await postgres.build(
                "things", ["CREATE TABLE things (name text)", "CREATE TABLE things (name text)"]
            )

        assert (
            await postgres.run(lambda connection: connection.fetchval("SELECT to_regclass('things')")) is None
        )
        assert not postgres.is_away


async def test_an_answer_that_is_a_fault_leaves_the_connection_good(postgres_url: str) -> None:
    async with opened(postgres_url, connections=1) as postgres:
        before = await postgres.run(backend)
        with pytest.raises(asyncpg.UndefinedTableError):
            await postgres.run(lambda connection: connection.fetch("SELECT * FROM nothing"))

        assert await postgres.run(backend) == before
        assert not postgres.is_away


async def test_a_connection_whose_driver_lost_track_is_away_and_another_is_made(postgres_url: str) -> None:
    async def lose_track(connection: Any) -> None:
        try:
            raise asyncpg.InternalClientError("cannot switch to state 21; another operation is in progress")
        finally:
            # What leaving a transaction does then.
            raise asyncpg.InterfaceError("cannot perform operation: another operation is in progress")

    async with opened(postgres_url, connections=1) as postgres:
        first = await postgres.run(backend)
        with pytest.raises(PostgresAway, match="InterfaceError"):
            await postgres.run(lose_track)
        await asyncio.sleep(FIRST_PAUSE)

        assert await postgres.run(backend) != first


async def test_a_transaction_that_was_left_open_does_not_go_on(postgres_url: str) -> None:
    async with opened(postgres_url, connections=1) as postgres:
        before = await postgres.run(backend)
        await postgres.run(lambda connection: connection.execute("BEGIN"))

        assert await postgres.run(backend) != before


async def test_a_question_that_takes_too_long_ends_with_its_connection(postgres_url: str) -> None:
    async with opened(postgres_url, connections=1, clock=MovedClock()) as postgres:
        with pytest.raises(PostgresAway, match="TimeoutError"):
            await postgres.run(lambda connection: connection.execute("SELECT pg_sleep(30)"), within=0.1)

        assert postgres.is_away


async def test_a_caller_who_leaves_takes_his_connection_along(postgres_url: str) -> None:
    async with opened(postgres_url, connections=1) as postgres:
        before = await postgres.run(backend)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await postgres.run(lambda connection: connection.execute("SELECT pg_sleep(30)"))

        assert await postgres.run(backend) != before
        assert not postgres.is_away


async def test_a_server_that_is_stopped_is_told_of_once_and_is_back_by_itself(
    own_postgres: PostgresServer,
) -> None:
    notices: Notices = []
    async with opened(own_postgres.url(), notice=notices.append) as postgres:
        await postgres.run(one)
        own_postgres.stop()
        for _ in range(5):
            with pytest.raises(PostgresAway):
                await postgres.run(one)
        gone = list(notices)
        own_postgres.start()
        async with asyncio.timeout(20):
            while postgres.is_away:
                await asyncio.sleep(0.05)
                with suppress(PostgresAway):
                    await postgres.run(one)

        assert len(gone) == 1
        assert notices == [*gone, None]
        assert PASSWORD not in str(notices)


async def test_a_server_that_hangs_holds_nobody_for_longer_than_allowed(own_postgres: PostgresServer) -> None:
    async def change(connection: Any) -> None:
        async with connection.transaction():
            await connection.execute("SELECT 1")
            own_postgres.hang()
            await connection.execute("SELECT 2")

    async with asyncio.timeout(20), opened(own_postgres.url(), within=0.2, connect_within=0.2) as postgres:
        await postgres.run(one)
        with pytest.raises(PostgresAway, match="TimeoutError"):
            await postgres.run(change)
        own_postgres.resume()
        await asyncio.sleep(0.2)

        assert await postgres.run(one) == 1


async def test_a_server_that_is_away_is_asked_less_and_less_often() -> None:
    clock = MovedClock()
    async with opened("postgres://gateway@127.0.0.1:1/none", clock=clock) as postgres:
        waits = []
        for _ in range(6):
            with pytest.raises(PostgresAway, match=r"127\.0\.0\.1:1/none is away: ConnectionRefusedError"):
                await postgres.run(one)
            waits.append(postgres._again_at - clock.time)
            clock.time = postgres._again_at

        assert waits[0] <= 0.1
        assert waits[5] >= 1.0


async def test_one_who_is_not_let_in_is_told_that_he_is_refused(shared_postgres: PostgresServer) -> None:
    async with opened(shared_postgres.url(password="wrong-canary")) as postgres:
        with pytest.raises(PostgresAway) as fault:
            await postgres.run(one)

        assert fault.value.refused
        assert "canary" not in str(fault.value)


async def test_without_the_driver_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "asyncpg":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(StartError, match=r"llmproxy-gateway\[postgres\]"):
        Postgres(PostgresUrl("postgres://app@db/gateway"), "llmproxy_test")


async def test_a_plugin_tells_by_log_and_metric_that_its_database_is_away(
    own_postgres: PostgresServer,
) -> None:
    told: list[str] = []

    def tell(event: str, **fields: str) -> None:
        told.append(f"{event} {fields}")

    metrics = Metrics()
    log = SimpleNamespace(error=tell, info=tell)
    runtime: Any = SimpleNamespace(name="books", clock=Clock(), metrics=metrics, log=log)
    postgres = postgres_of(runtime, PostgresUrl(own_postgres.url()), "llmproxy_test")
    shown = []
    for step in (own_postgres.stop, own_postgres.start):
        step()
        async with asyncio.timeout(20):
            while postgres.is_away == (step == own_postgres.start) or not told:
                with suppress(PostgresAway):
                    await postgres.run(one)
                await asyncio.sleep(0.02)
        shown.append(metrics.exposition([metrics.snapshot()]))
    await postgres.close()

    place = f"127.0.0.1:{own_postgres.port}/postgres"
    assert 'llmproxy_postgres_away{plugin="books"} 1' in shown[0]
    assert 'llmproxy_postgres_away{plugin="books"} 0' in shown[1]
    assert told == [
        f"postgres_away {{'place': '{place}', 'fault': 'ConnectionRefusedError'}}",
        f"postgres_back {{'place': '{place}'}}",
    ]


@pytest.mark.parametrize("mode", ["require", "verify-full"])
async def test_a_server_without_tls_is_not_used_where_tls_is_asked_for(
    shared_postgres: PostgresServer, mode: str
) -> None:
    async with opened(f"{shared_postgres.url()}?sslmode={mode}") as postgres:
        with pytest.raises(PostgresAway):
            await postgres.run(one)


async def test_of_several_hosts_the_one_that_is_there_is_used(shared_postgres: PostgresServer) -> None:
    url = shared_postgres.url().replace("@", "@127.0.0.1:1,")
    async with opened(url) as postgres:
        assert await postgres.run(one) == 1


def test_what_no_table_takes_is_made_to_fit() -> None:
    told = ("a\0b", "ab", "", 2**63, 2**63 - 1, -1, 1.5, None, b"\0")

    assert [postgres_value(each) for each in told] == [
        *("a\ufffdb", "ab", "", 2**63 - 1, 2**63 - 1, -1, 1.5, None, b"\0")
    ]
