"""A store that fails in any way is a miss: told by a metric, never an error, never a wrong answer."""

from __future__ import annotations

import asyncio
import random
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from .cachefaults import Scene, scene
from .faultystores import (
    TAMPERINGS,
    Lmdb,
    Memcached,
    Rubbish,
    Server,
    Tampered,
    Valkey,
    hung,
    reading,
    writing,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

#: A tier at hand that is so small that the store behind it is asked all the time.
NEAR = ', near: "memory://?max_bytes=150KiB"'

SERVERS = ["valkey", "valkey-near", "memcached", "memcached-near"]
FILES = ["lmdb", "lmdb-near"]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Valkey | Memcached]:
    made = Valkey() if request.param.startswith("valkey") else Memcached()
    yield made
    made.close()


@pytest.fixture
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Lmdb:
    return Lmdb(tmp_path / "store")


@asynccontextmanager
async def over(
    request: pytest.FixtureRequest, store: Server | Lmdb, *, options: str = "", workers: int = 2
) -> AsyncIterator[Scene]:
    """Give a scene over a store that works, as the test's parameters want it."""
    words = request.node.name.rstrip("]").split("-")
    near = NEAR if "near" in words else ""
    consistency = "strong" if "strong" in words else "eventual"
    folder = request.getfixturevalue("tmp_path")
    async with scene(
        folder, store.url + options, more=near, consistency=consistency, workers=workers
    ) as made:
        await made.callers.hit_again()
        made.callers.slowest = 0
        yield made
        print(f"\n{request.node.name}: {made.callers}; {dict(await made.faults())}")


each_server = pytest.mark.parametrize("server", SERVERS, indirect=True)
each_file = pytest.mark.parametrize("files", FILES, indirect=True)
slow = pytest.mark.slow  # each takes some seconds; two of them stand for all in the default run


def quick(first: str, *others: str) -> list[str | ParameterSet]:
    return [first, *(pytest.param(each, marks=slow) for each in others)]


async def judge(made: Scene, *expected: str) -> None:
    """Hits are back, every answer was right, and the metric tells of each of these faults."""
    await made.callers.hit_again()
    faults = await made.faults()

    assert made.callers.wrong == []
    assert made.callers.broken == 0
    assert all(faults[each] for each in expected), faults


@pytest.mark.parametrize("server", quick(*SERVERS), indirect=True)
async def test_a_server_that_is_killed_and_started_again(
    request: pytest.FixtureRequest, server: Server
) -> None:
    async with over(request, server) as made:
        server.kill()
        await made.callers.more(300)
        await asyncio.sleep(1.5)
        await asyncio.to_thread(server.start)
        await made.callers.more(100)

        await judge(made, "get away", "put away")


@slow
@each_server
async def test_a_server_that_hangs_keeps_nobody_waiting(
    request: pytest.FixtureRequest, server: Server
) -> None:
    async with over(request, server) as made:
        async with hung(server, 2.5):
            await made.callers.more(100)  # all of them come back while it hangs

        await judge(made, "get away", "put away")


@slow
@each_server
async def test_a_server_that_is_full(request: pytest.FixtureRequest, server: Server) -> None:
    async with over(request, server) as made:
        await asyncio.to_thread(server.fill)
        await made.callers.more(600)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.empty)

        await judge(made, "put away")


#: What is no answer of a server's, or one to another question.
RUBBISH = {
    "valkey": [
        b"+OK\r\n",
        b":1\r\n",
        b"$5\r\nhello\r\n",
        b"$-1\r\n$-1\r\n",
        b"$1\r\nlonger than told\r\n",
        b"$99999999999\r\n",
        b"$x\r\n",
        b"*x\r\n",
        b"*-1\r\n",
        b"*2\r\n$1\r\n1\r\n:1\r\n",
        b"*1\r\n" * 3000,
        b"-ERR no\r\n",
        b"\r\n",
    ],
    "memcached": [
        b"END\r\n",
        b"END\r\nEND\r\n",
        b"STORED\r\n",
        b"VALUE\r\n",
        b"VALUE other 0 5\r\nhello\r\nEND\r\n",
        b"VALUE other 0 x\r\nhello\r\nEND\r\n",
        b"VALUE other 0 99999999\r\nhello\r\nEND\r\n",
        b"VALUE other 0 -1\r\nhello\r\nEND\r\n",
        b"ERROR\r\n",
        b"\r\n",
    ],
}
ANYWHERE = [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"\xff" * 100, b"\0" * 70_000]


@slow
@pytest.mark.parametrize("server", [*SERVERS, "valkey-strong", "memcached-strong"], indirect=True)
async def test_an_address_where_something_else_answers(
    request: pytest.FixtureRequest, server: Server
) -> None:
    rubbish = [*ANYWHERE, *RUBBISH[type(server).__name__.lower()]]
    async with over(request, server, options="?failures=1000000") as made:
        server.kill()
        for answers in (rubbish, *([each] for each in rubbish)):
            async with Rubbish(server.port, lambda asked, each=answers: random.choice(each)) as something:
                await made.callers.more(40)
            assert something.asked
        await asyncio.to_thread(server.start)

        await judge(made, "get away")


async def tampered_with(made: Scene, store: Tampered) -> None:
    """Spoil all entries, in each way."""
    for what, tampering in TAMPERINGS.items():
        await made.callers.hit_again()
        before = await made.faults()
        count = await asyncio.to_thread(store.tamper, tampering)
        await made.callers.more(150)
        found = (await made.faults()) - before
        print(f"{what}: {count} entries, {dict(found)}")
        assert count > 4
        assert found["get damaged"], what


@slow
@each_server
async def test_entries_of_a_server_that_were_tampered_with(
    request: pytest.FixtureRequest, server: Valkey | Memcached
) -> None:
    async with over(request, server) as made:
        await tampered_with(made, server)

        await judge(made, "get damaged")


@slow
@each_file
async def test_entries_in_files_that_were_tampered_with(request: pytest.FixtureRequest, files: Lmdb) -> None:
    async with over(request, files) as made:
        await tampered_with(made, files)

        await judge(made, "get damaged")


@pytest.mark.parametrize("files", quick(*FILES), indirect=True)
async def test_a_disk_that_is_full(request: pytest.FixtureRequest, files: Lmdb) -> None:
    async with over(request, files) as made:
        for pid in made.gateway.workers():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        await made.callers.more(600)
        for pid in made.gateway.workers():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

        await judge(made, "put away")


@slow
async def test_files_that_can_grow_no_more(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    files = Lmdb(tmp_path / "store", "?map_size=1MiB")
    async with over(request, files) as made:
        with reading(files):
            await made.callers.more(1500)

        await judge(made, "put away")


@slow
@each_file
async def test_a_writer_that_hangs_keeps_nobody_waiting(request: pytest.FixtureRequest, files: Lmdb) -> None:
    async with over(request, files) as made:
        with writing(files):
            await made.callers.more(600)  # all of them come back while it hangs
            await asyncio.sleep(1)

        await judge(made, "put away")
