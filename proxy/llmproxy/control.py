"""The two ends of the wire between the supervisor and a worker, and what a worker must be able to do."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from llmproxy.errors import StartError
from llmproxy.framing import BadFrame, FrameDecoder, encode_frame
from llmproxy.orders import (
    CONFIG_LIMIT,
    Abort,
    Answer,
    Ask,
    Build,
    Built,
    Commit,
    Committed,
    Drain,
    Failed,
    PeerDied,
    Ready,
    ReloadResult,
    StartFailed,
    ToSupervisor,
    ToWorker,
    Wish,
    to_supervisor,
    to_worker,
)
from llmproxy.sockets import Listener
from llmproxy.tasks import spawn
from llmproxy.totals import Totals

_log = structlog.get_logger("llmproxy")

DRAIN_GRACE = 5.0  # what a worker gets beyond its drain timeout to close what it holds


class Controller(Protocol):
    """What a worker does when it is told to: written by the gateway, called by its link."""

    async def build(self, generation: int, data: bytes) -> Sequence[str]:
        """Build a generation and keep it aside; return notes on what needs a restart.

        Raises:
            StartError: the bytes cannot be served; the message is what the operator reads.
        """
        ...

    async def commit(self, generation: int) -> None:
        """Serve the generation that was built; a fault here ends the worker, which is then replaced."""
        ...

    async def abort(self, generation: int) -> None:
        """Forget the generation that was built, or that could not be."""
        ...

    async def drain(self, timeout: float, *, handover: bool) -> None:
        """Return when nothing is under way any more, after `timeout` seconds at the latest.

        With `handover`, close the listening sockets at once: another worker accepts from them. Without,
        `Listener.refuse_new()` first, accept for the lame-duck time, then close. Either way a connection
        accepted just before the close shows up a turn of the loop later: look for what is under way after it.
        """
        ...

    def peer_died(self, slot: int, pid: int) -> None:
        """Free what the worker `pid` held in shared stores."""
        ...


class Link(Protocol):
    """A worker's way to whoever reloads and stops it: the supervisor, or itself when it is alone."""

    async def __aenter__(self) -> Link: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def ready(self) -> None:
        """Say that connections are accepted."""
        ...

    async def reload(self) -> ReloadResult:
        """Read the config again and serve it everywhere, or nowhere."""
        ...

    async def roll(self) -> ReloadResult:
        """Replace all workers, one by one."""
        ...

    async def drained(self) -> None:
        """Return when the worker was told to drain and has; raise what made a commit fail."""
        ...


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker is given at its start; all else it opens itself.

    Its main builds generation `generation` from `data`, then serves until told to leave:

        async with worker.link(controller) as link:
            link.ready()
            await link.drained()
    """

    slot: int
    slots: int
    generation: int
    data: bytes
    listeners: tuple[Listener, ...]
    bus_directory: Path | None
    drain_timeout: float
    link: Callable[[Controller], Link]
    totals: Totals | None = None


class Channel:
    """The supervisor's end: never blocks, keeps what the worker does not take yet."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._unsent = bytearray()
        self._frames = FrameDecoder(to_supervisor, CONFIG_LIMIT)

    @property
    def blocked(self) -> bool:
        """Whether something waits until the socket is writable."""
        return bool(self._unsent)

    def send(self, message: ToWorker) -> None:
        """Send now as much as goes, the rest with `flush`."""
        self._unsent += encode_frame(message, CONFIG_LIMIT)
        self.flush()

    def flush(self) -> None:
        """Send what waits; a worker that is gone gets nothing."""
        try:
            while self._unsent:
                del self._unsent[: self.sock.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()

    def receive(self) -> tuple[list[ToSupervisor], bool]:
        """Return the messages that have come and whether the worker's end is still open."""
        messages: list[ToSupervisor] = []
        try:
            while data := self.sock.recv(65536):
                messages += self._frames.feed(data)
        except BlockingIOError:
            return messages, True
        except (OSError, BadFrame):
            pass
        return messages, False


def tell_start_failed(sock: socket.socket, reason: str, code: int) -> None:
    """Tell the supervisor, from a worker without a loop, why there will be no worker."""
    sock.setblocking(True)
    sock.sendall(encode_frame(StartFailed(reason, code), CONFIG_LIMIT))


class WorkerControl:
    """The worker's link to its supervisor, on the worker's loop.

    Builds, commits and aborts run one after the other; draining and answers do not wait for them. When the
    supervisor is gone, the worker drains.
    """

    def __init__(self, sock: socket.socket, drain_timeout: float, controller: Controller) -> None:
        self._sock = sock
        self._drain_timeout = drain_timeout
        self._controller = controller
        self._orders: asyncio.Queue[Build | Commit | Abort] = asyncio.Queue()
        self._asked: dict[int, asyncio.Future[ReloadResult]] = {}
        self._ids = itertools.count(1)
        self._lost = False
        self._end: asyncio.Future[None]
        self._drain: asyncio.Task[None] | None = None

    async def __aenter__(self) -> WorkerControl:
        loop = asyncio.get_running_loop()
        self._end = loop.create_future()
        self._reader, self._writer = await asyncio.open_connection(sock=self._sock)
        self._tasks = [
            spawn(self._listen(), name="control-listen"),
            spawn(self._obey(), name="control-obey"),
        ]
        # Somebody's `kill PID` of one worker: ask for a successor instead of leaving the slot empty.
        loop.add_signal_handler(signal.SIGTERM, self._send_ask, "replace")
        return self

    async def __aexit__(self, *exc: object) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
        for task in [*self._tasks, *filter(None, [self._drain])]:
            task.cancel()
        self._writer.close()
        self._fail_asked()

    def ready(self) -> None:
        """Say that connections are accepted."""
        self._send(Ready())

    async def reload(self) -> ReloadResult:
        """Have every worker build the config as it is now; swap all or none."""
        return await self._ask("reload")

    async def roll(self) -> ReloadResult:
        """Have every worker replaced, one at a time, by a successor on the same sockets."""
        return await self._ask("roll")

    async def drained(self) -> None:
        """Return when the worker was told to drain and has; raise what made a commit fail."""
        await asyncio.shield(self._end)

    async def _ask(self, wish: Wish) -> ReloadResult:
        if self._lost:
            return _lost()
        number = self._send_ask(wish)
        answer: asyncio.Future[ReloadResult] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            return await answer
        finally:
            del self._asked[number]

    def _send_ask(self, wish: Wish) -> int:
        number = next(self._ids)
        self._send(Ask(number, wish))
        return number

    def _send(self, message: ToSupervisor) -> None:
        self._writer.write(encode_frame(message, CONFIG_LIMIT))

    async def _listen(self) -> None:
        frames = FrameDecoder(to_worker, CONFIG_LIMIT)
        try:
            while data := await self._reader.read(65536):
                for message in frames.feed(data):
                    self._take(message)
        except ConnectionError:
            pass
        _log.warning("supervisor_lost")
        self._lost = True
        self._fail_asked()
        self._start_drain(self._drain_timeout, handover=False)

    def _take(self, message: ToWorker) -> None:
        match message:
            case Build() | Commit() | Abort():
                self._orders.put_nowait(message)
            case Drain():
                self._start_drain(message.timeout, handover=message.handover)
            case PeerDied():
                self._controller.peer_died(message.slot, message.pid)
            case Answer():
                asked = self._asked.get(message.id)
                if asked is not None and not asked.done():
                    asked.set_result(message.result)

    async def _obey(self) -> None:
        try:
            while True:
                await self._execute(await self._orders.get())
        except Exception as fault:  # raised again where the worker's main waits
            if not self._end.done():
                self._end.set_exception(fault)

    async def _execute(self, order: Build | Commit | Abort) -> None:
        match order:
            case Build():
                self._send(await build_or_say_why(self._controller, order))
            case Commit():
                await self._controller.commit(order.generation)
                self._send(Committed(order.generation))
            case Abort():
                await self._controller.abort(order.generation)

    def _start_drain(self, timeout: float, *, handover: bool) -> None:
        if self._drain is None:
            self._drain = spawn(self._drain_and_end(timeout, handover=handover), name="drain")

    async def _drain_and_end(self, timeout: float, *, handover: bool) -> None:
        try:
            await drain_in_time(self._controller, timeout, handover=handover)
        finally:
            if not self._end.done():
                self._end.set_result(None)

    def _fail_asked(self) -> None:
        for asked in self._asked.values():
            if not asked.done():
                asked.set_result(_lost())


def _lost() -> ReloadResult:
    return ReloadResult(ok=False, generation=0, reason="the supervisor is gone")


async def build_or_say_why(controller: Controller, order: Build) -> Built | Failed:
    """Build; an unforeseen fault is logged, and told by its kind only: its text may hold a secret."""
    try:
        notes = await controller.build(order.generation, order.data)
    except StartError as error:
        return Failed(order.generation, str(error))
    except Exception as fault:  # whatever it is, the old generation goes on
        _log.exception("build_failed", generation=order.generation)
        return Failed(order.generation, f"the build failed with {type(fault).__name__}")
    return Built(order.generation, tuple(notes))


async def drain_in_time(controller: Controller, timeout: float, *, handover: bool) -> None:
    """Drain, and leave a little after `timeout` even if the controller does not return."""
    try:
        async with asyncio.timeout(timeout + DRAIN_GRACE / 2):
            await controller.drain(timeout, handover=handover)
    except TimeoutError:
        _log.warning("drain_unfinished", timeout=timeout)


def unreadable(error: OSError) -> str:
    """Say which file could not be read, and why."""
    return f"cannot read {str(error.filename)!r}: {error.strerror}"
