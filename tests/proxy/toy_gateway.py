"""A toy gateway for the tests of workers: one line in, one line out, everything else real.

Started as a script with its settings as one JSON argument. Each worker prints `ready SLOT PID PORT`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import uvloop

from llmproxy import jobs, supervisor
from llmproxy.addresses import Address
from llmproxy.bus import Bus, Peer
from llmproxy.control import Link, Worker
from llmproxy.errors import StartError
from llmproxy.filewatch import file_source
from llmproxy.fleet import Event, Fleet
from llmproxy.sockets import Binding
from llmproxy.supervisor import Settings, run
from llmproxy.tasks import spawn


class Options(msgspec.Struct):
    config: str
    workers: int = 2
    port: int = 0
    unix: str = ""
    drain: float = 5.0
    watch: bool = False
    pid_file: str = ""
    death_file: str = ""
    inherited: bool = False
    quick: bool = True
    late: float = 0.0


class Config(msgspec.Struct):
    greeting: str
    refused_by: int = -1
    fatal_to: int = -1
    poison: str = ""
    notes: tuple[str, ...] = ()


class Toy:
    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.generation = worker.generation
        self.config = self.parse(worker.data)
        self.built = self.config
        if os.path.exists(self.config.poison):
            raise StartError("poisoned")
        self.dead: list[int] = []
        self.sent = 0
        self.active: set[asyncio.Task[None]] = set()
        self.servers: list[asyncio.Server] = []
        self.bus = Bus(worker.bus_directory, worker.slot)
        self.bus.answer("pid", lambda payload, peer: str(os.getpid()).encode())
        self.bus.subscribe("greeting", self.greet)
        self.bus.serve_stream("count", self.count)
        self.link: Link

    def parse(self, data: bytes) -> Config:
        try:
            config = msgspec.json.decode(data, type=Config)
        except msgspec.MsgspecError as error:
            raise StartError(f"config: {error}") from error
        if config.refused_by == self.worker.slot:
            raise StartError(f"slot {self.worker.slot} cannot serve {config.greeting!r}")
        if config.fatal_to == self.worker.slot:
            os._exit(3)
        return config

    async def build(self, generation: int, data: bytes) -> tuple[str, ...]:
        self.built = self.parse(data)
        return self.built.notes

    async def commit(self, generation: int) -> None:
        self.generation, self.config = generation, self.built

    async def abort(self, generation: int) -> None:
        self.built = self.config

    def peer_died(self, slot: int, pid: int) -> None:
        self.dead.append(pid)

    async def drain(self, timeout: float, *, handover: bool) -> None:
        if not handover:
            for listener in self.worker.listeners:
                listener.refuse_new()
            await asyncio.sleep(0.2)
        for server in self.servers:
            server.close()
        await asyncio.sleep(0.05)  # what was accepted just now becomes active a turn of the loop later
        if self.active:
            await asyncio.wait(self.active, timeout=timeout)

    def greet(self, payload: bytes, peer: Peer) -> None:
        self.config = msgspec.structs.replace(self.config, greeting=payload.decode())

    async def count(self, payload: bytes, peer: Peer) -> AsyncGenerator[bytes, None]:
        for self.sent in range(int(payload)):
            yield bytes(65536)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = spawn(self.talk(reader, writer), name="talk")
        self.active.add(task)
        task.add_done_callback(self.active.discard)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        word, _, rest = (await reader.readline()).decode().strip().partition(" ")
        writer.write(await self.answer(word, rest) + b"\n")
        await writer.drain()
        writer.close()

    async def answer(self, word: str, rest: str) -> bytes:
        match word:
            case "reload":
                return msgspec.json.encode(await self.link.reload())
            case "roll":
                return msgspec.json.encode(await self.link.roll())
            case "slow":
                await asyncio.sleep(float(rest))
            case "publish":
                await self.bus.publish("greeting", rest.encode())
            case "ask":
                answers = await self.bus.ask("pid", timeout=0.5)
                return msgspec.json.encode(
                    [sorted(map(int, answers.payloads.values())), [*answers.missing.values()]]
                )
            case "dead":
                return msgspec.json.encode(self.dead)
        return f"{self.worker.slot} {os.getpid()} {self.generation} {self.config.greeting}".encode()

    async def serve(self) -> int:
        await self.bus.start()
        for listener in self.worker.listeners:
            start = (
                asyncio.start_server if listener.binding.address.path is None else asyncio.start_unix_server
            )
            self.servers.append(await start(self.accept, sock=listener.sock))
        async with self.worker.link(self) as self.link:
            self.link.ready()
            where = self.worker.listeners[0].sock.getsockname()
            print(
                "ready",
                self.worker.slot,
                os.getpid(),
                where[1] if isinstance(where, tuple) else 0,
                flush=True,
            )
            await self.link.drained()
        await self.bus.close()
        return 0


def serve(worker: Worker) -> int:
    async def main() -> int:
        return await Toy(worker).serve()

    return uvloop.run(main())


class LateFleet(Fleet):
    """A fleet that is first listened to after some seconds, so that much is heard at once."""

    late = 0.0

    def events(self, timeout: float | None) -> list[Event]:
        seconds, self.late = self.late, 0.0
        time.sleep(seconds)
        return super().events(timeout)


def main() -> int:
    options = msgspec.json.decode(sys.argv[1], type=Options)
    if options.quick:
        supervisor.POLL_SECONDS = jobs.DRAIN_GRACE = 0.2
    if options.inherited:
        os.environ["LISTEN_PID"] = str(os.getpid())
    LateFleet.late = options.late
    supervisor.Fleet = LateFleet
    listen = [Binding(Address("127.0.0.1", options.port))]
    if options.unix:
        listen.append(Binding(Address("", 0, options.unix)))

    def note_death(slot: int, pid: int) -> None:
        with open(options.death_file, "a") as file:
            file.write(f"{slot} {pid}\n")

    settings = Settings(
        listen=listen,
        workers=options.workers,
        source=file_source(Path(options.config), watch=options.watch),
        drain_timeout=options.drain,
        runtime_dir=Path(options.config).parent,
        pid_file=Path(options.pid_file) if options.pid_file else None,
        on_worker_death=note_death if options.death_file else None,
    )
    return run(settings, serve)


if __name__ == "__main__":
    sys.exit(main())
