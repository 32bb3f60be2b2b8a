"""What one worker process does: serve its listeners, obey its link, leave without losing anybody."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from llmproxy.admin import AdminServer
from llmproxy.bindings import ADMIN
from llmproxy.bus import Bus
from llmproxy.chores import do_chores
from llmproxy.config import Config
from llmproxy.errors import StartError
from llmproxy.forwarded import TrustedProxies
from llmproxy.gateway import Gateway
from llmproxy.listening import Certificates
from llmproxy.log import LogSink, configure
from llmproxy.metrics import Metrics
from llmproxy.runtime import Process
from llmproxy.server import Front, Listening

if TYPE_CHECKING:
    from llmproxy.control import Link, Worker
    from llmproxy.sockets import Listener

_log = structlog.get_logger("llmproxy")

Read = Callable[[bytes], Config]


class Serving:
    """A worker's controller: builds and swaps generations, drains connections."""

    def __init__(self, worker: Worker, read: Read, config: Config, sink: LogSink) -> None:
        self._worker = worker
        self._read = read
        self._config = config
        self.bus = Bus(worker.bus_directory, worker.slot)
        self.process = Process(Metrics(worker.totals, worker.slot), self.bus, worker.slot, sink)
        self.gateway = Gateway(self.process)
        self.admin = AdminServer(self.process)
        self._fronts: list[Front] = []
        self._listening: list[tuple[Listener, asyncio.Server, Listening]] = []
        self._certificates = Certificates()

    async def start(self) -> None:
        """Build the first generation, begin to accept, and do what plugins want done before this worker is ready."""
        await self.bus.start()
        await self._build(self._config)
        self.gateway.commit()
        self.admin.busy = True
        self.admin.swap(self.gateway.current)
        for listener in self._worker.listeners:
            if listener.binding.name == ADMIN:
                await self.admin.start(listener.sock)
            else:
                await self._listen(listener)
        await do_chores(self.gateway.current.chores())
        self.admin.busy = False

    async def _listen(self, listener: Listener) -> None:
        settings = next(each for each in self._config.listeners if each.address == str(listener.binding.name))
        front = Front(
            self.gateway,
            self._config.server,
            settings.address,
            scheme="https" if settings.tls else "http",
            trusted=TrustedProxies(settings.trusted_proxies),
        )
        front.watch.start(self._config.server)
        made = Listening(front)
        context = self._certificates.context(settings.tls) if settings.tls else None
        server = await asyncio.get_running_loop().create_server(
            made, sock=listener.sock, ssl=context, backlog=self._config.server.backlog
        )
        self._fronts.append(front)
        self._listening.append((listener, server, made))

    # What the link asks for.

    async def build(self, generation: int, data: bytes) -> Sequence[str]:
        """Build a generation from the config's bytes; return what needs a restart to change."""
        config = self._read(data)
        self._certificates.check()
        await self._build(config)
        return [
            f"{what} changes with a restart"
            for what, old, new in (
                ("listen", self._config.listeners, config.listeners),
                ("admin.listen", self._config.admin.listen, config.admin.listen),
                ("server", self._config.server, config.server),
            )
            if old != new
        ]

    async def _build(self, config: Config) -> None:
        await self.gateway.build(config)
        if self.gateway.built is not None:
            self.admin.check(self.gateway.built)

    async def commit(self, generation: int) -> None:
        """Swap the built generation in."""
        configure(
            self.process.sink, self.gateway.built.config.log if self.gateway.built else self._config.log
        )
        self.gateway.commit()
        self.admin.swap(self.gateway.current)
        try:
            self._certificates.refresh()
        except StartError as fault:  # it was whole while the generation was built
            _log.error("certificates_kept", reason=str(fault))

    async def abort(self, generation: int) -> None:
        """Drop the built generation."""
        await self.gateway.abort()

    async def drain(self, timeout: float, *, handover: bool) -> None:
        """Say `Connection: close` for a moment while still accepting, close what is idle, wait for the rest."""
        self.admin.draining = True
        for front in self._fronts:
            front.drain()
        for listener, server, _ in self._listening:
            if handover or listener.inherited:
                server.close()  # the queue is the successor's; what was just accepted has the pause to ask
            else:
                listener.refuse_new()
        await asyncio.sleep(self._config.server.drain_pause)
        for _, server, _ in self._listening:
            server.close()
        try:
            async with asyncio.timeout(timeout):
                await self._wait_until_idle()
        except TimeoutError:
            _log.warning("drain_timed_out", connections=sum(len(front.watch.open) for front in self._fronts))

    async def _wait_until_idle(self) -> None:
        while any(front.watch.open for front in self._fronts):
            for front in self._fronts:
                for connection in tuple(front.watch.open):
                    connection.close_if_idle()
            await asyncio.sleep(0.05)

    def peer_died(self, slot: int, pid: int) -> None:
        """Free what a dead worker held in stores that are files."""
        for store in self.gateway.current.open_stores():
            check = getattr(store, "check_readers", None)
            if check is not None:
                check()

    async def stop(self) -> None:
        """Close everything, after draining."""
        for front in self._fronts:
            front.watch.stop()
        for _, server, made in self._listening:
            server.close()
            await made.shutdown(1.0)
        await self.gateway.close(self._worker.drain_timeout)
        await self.admin.close()
        await self.bus.close()
        # What was counted since the last scrape goes to the successor.
        self.process.metrics.snapshot()


async def serve(
    worker: Worker, read: Read, config: Config, sink: LogSink, announce: Callable[[], None]
) -> None:
    """Serve until the link says that this worker has drained."""
    serving = Serving(worker, read, config, sink)
    try:
        await serving.start()
        link: Link
        _settle_memory()
        async with worker.link(serving) as link:
            serving.process.reload = link.reload
            link.ready()
            announce()
            await link.drained()
    finally:
        await serving.stop()


def _settle_memory() -> None:
    """Take what serves out of the collector's sight, and let it look less often.

    Not much less: with 20,000 a second wave of 9,000 streams grew the process by 14 %, with 2,000 by 2 %.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 10)


def main(worker: Worker, read: Read, announce: Callable[[], None]) -> int:
    """Run one worker to its end; return the exit code."""
    config = read(worker.data)
    sink = LogSink.start(config.log)
    try:
        _runner()(serve(worker, read, config, sink, announce))
    finally:
        sink.close()
    return 0


def _runner() -> Callable[..., object]:
    """Return what runs a coroutine: uvloop where there is one (TLS costs a sixth of the memory on it)."""
    try:
        import uvloop  # noqa: PLC0415  # not on Windows
    except ImportError:
        return asyncio.run
    return uvloop.run
