"""On a real server, and on one that does what no good server does."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any
from uuid import uuid4

import pytest

from llmproxy.stores import StoreAway, key, make_store, open_store
from llmproxy.stores.memcached import MemcachedStore
from llmproxy.tasks import spawn

from .conftest import wait_for
from .hanging import assert_nobody_gets_anothers_answer, hung, outcome, when_back

KEY = key("acme", "chat", "a")


@pytest.fixture
async def store(memcached_address: str) -> AsyncIterator[MemcachedStore]:
    opened: Any = open_store(f"memcached://{memcached_address}?prefix={uuid4().hex}:&timeout=5s")
    yield opened
    await opened.close()


@pytest.fixture
def server() -> Iterator[tuple[int, int]]:
    """Start a server of the test's own, to be stopped and killed; give its process and port."""
    program = shutil.which("memcached")
    if program is None:
        pytest.skip("no memcached here (Debian's package of that name has it)")
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "nobody"]
    ) as started:
        wait_for(port)
        yield started.pid, port
        started.kill()


async def test_two_prefixes_never_meet(store: MemcachedStore, memcached_address: str) -> None:
    other = open_store(f"memcached://{memcached_address}?prefix=other:&timeout=5s")
    await store.set(KEY, b"1")
    await other.set(KEY, b"2")

    assert await store.get(KEY) == b"1"
    assert await other.get(KEY) == b"2"
    await other.close()


async def test_what_is_too_large_is_not_kept_nor_is_what_was_there(store: MemcachedStore) -> None:
    await store.set(KEY, b"old")

    assert await store.set(KEY, b"x" * (1 << 20)) is False
    assert await store.get(KEY) is None
    assert await store.set(KEY, b"x" * ((1 << 20) - 512)) is True
    assert len(await store.get(KEY) or b"") == (1 << 20) - 512


async def test_values_that_look_like_the_protocol_are_values(store: MemcachedStore) -> None:
    for value in (
        b"END\r\n",
        b"x" * 65_531 + b"END\r\n" + b"y" * 65_531 + b"END\r\n",
        b"\r\nVALUE a 0 1\r\n",
    ):
        await store.set(KEY, value)

        assert await store.get(KEY) == value


@pytest.mark.parametrize("days", [29, 31, 36_500, 10**9])
async def test_a_long_life_is_a_life(store: MemcachedStore, days: int) -> None:
    await store.set(KEY, b"value", ttl=days * 86_400)

    assert await store.get(KEY) == b"value"


async def test_counting_at_once_loses_nothing(store: MemcachedStore) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(store.increment(KEY, 2))

    assert await store.get(KEY) == b"20"


async def test_a_hung_server_costs_a_timeout_then_nothing_and_comes_back(server: tuple[int, int]) -> None:
    pid, port = server
    store = open_store(f"memcached://127.0.0.1:{port}?timeout=200ms&retry_after=300ms&failures=3")
    await store.set(KEY, b"value")
    with hung(pid):
        for _ in range(3):
            with pytest.raises(StoreAway, match="failed: TimeoutError"):
                await store.get(KEY)
        with pytest.raises(StoreAway, match="is away; it will be asked again"):
            await store.get(KEY)

    assert await when_back(store.get, KEY) == b"value"
    await store.close()


async def test_answers_of_a_server_that_was_hung_never_reach_another_caller(server: tuple[int, int]) -> None:
    pid, port = server
    store = open_store(
        f"memcached://127.0.0.1:{port}?timeout=40ms&failures=1000&connections=4&retry_after=0s"
    )
    await assert_nobody_gets_anothers_answer(store, pid)
    await store.close()


async def test_a_server_that_was_restarted_is_used_again(server: tuple[int, int]) -> None:
    pid, port = server
    store = open_store(f"memcached://127.0.0.1:{port}?timeout=5s&failures=1000")
    await store.set(KEY, b"value")
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.05)
    assert isinstance(await outcome(store.get(KEY)), StoreAway)

    program = shutil.which("memcached")
    assert program is not None
    with subprocess.Popen([program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "nobody"]) as again:
        wait_for(port)
        assert await store.set(KEY, b"again") is True
        assert await store.get(KEY) == b"again"
        again.terminate()
    await store.close()


Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[object]]


@asynccontextmanager
async def speaking(answer: Answer) -> AsyncIterator[int]:
    """Run a server that answers each command by `answer`, and give its port."""
    serving: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            while line := await reader.readline():
                if line.split()[0] in (b"set", b"add", b"cas"):
                    await reader.readexactly(int(line.split()[4]) + 2)
                await answer(line, writer)
        writer.close()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(spawn(serve(reader, writer), name="memcached"))

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.wait(serving, timeout=5)


def saying(text: bytes, *, leave: bool = False) -> Answer:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        if leave:
            writer.close()

    return answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (saying(b"SERVER_ERROR out of memory storing object\r\n"), "refused: ClientException"),
        (saying(b"nonsense\r\n"), "refused: ClientException"),
        (saying(b"VALUE x 0 nonsense\r\n"), "failed: ValueError"),
        (saying(b"VALUE x 0 1000\r\ncut", leave=True), "failed: IncompleteReadError"),
        (saying(b"STO", leave=True), "failed: ConnectionError|refused"),
        (saying(b"", leave=True), "failed: ConnectionError"),
        (saying(b""), "failed: TimeoutError"),
        (saying(b"x" * 200_000), "failed: ValueError"),
    ],
)
async def test_whatever_a_server_says_is_a_store_that_is_away(answer: Answer, message: str) -> None:
    async with speaking(answer) as port:
        store = open_store(f"memcached://127.0.0.1:{port}?timeout=200ms&failures=100")
        with pytest.raises(StoreAway, match=message):
            await store.get(KEY)
        for work in (store.set(KEY, b"v"), store.delete(KEY), store.add(KEY, b"v"), store.multi_get([KEY])):
            assert isinstance(await outcome(work), StoreAway)
        await store.close()


async def test_another_keys_value_is_nobodys(memcached_address: str) -> None:
    async with speaking(saying(b"VALUE another 0 9\r\n\0\0\0\0\0\0\0\0v\r\nEND\r\n")) as port:
        store = open_store(f"memcached://127.0.0.1:{port}?timeout=5s")

        assert await store.get(KEY) is None
        await store.close()


async def test_what_is_no_item_of_ours_is_a_miss(memcached_address: str) -> None:
    async def answer(line: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"VALUE %b 0 3\r\nabc\r\nEND\r\n" % line.split()[1])

    async with speaking(answer) as port:
        store = open_store(f"memcached://127.0.0.1:{port}?timeout=5s")

        assert await store.get(KEY) is None
        await store.close()


def test_an_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiomcache", None)
    monkeypatch.delitem(sys.modules, "llmproxy.stores.memcached_client", raising=False)

    with pytest.raises(ValueError, match=r"pip install 'llmproxy-gateway.memcached.'"):
        make_store("memcached://h")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memcached://h/0", "takes no path"),
        ("memcached://h?prefx=a", 'did you mean "prefix"'),
        ("memcached://h?prefix=a%20b", "printable characters without spaces"),
        ("memcached://h?timeout=0", "needs a timeout above 0"),
        ("memcached://u:hunter2@h", "takes no username"),
    ],
)
def test_a_wrong_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as fault:
        make_store(url)

    assert "hunter2" not in str(fault.value)
