"""Workers: one process that serves alone, or several under a supervisor that only forks, listens and decides.

The supervisor runs no event loop, thread or store. It opens the sockets and reads the config; workers do the
rest. A reload, a roll and the start of a worker never overlap, so a worker always starts with the bytes that
serve.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from llmproxy.bus import Peer
from llmproxy.children import EXIT_REFUSED, Child, Slot
from llmproxy.control import Worker, unreadable
from llmproxy.errors import StartError
from llmproxy.filewatch import POLL_SECONDS, Source
from llmproxy.fleet import Died, Event, Fleet, Heard, Signalled, kill
from llmproxy.jobs import Jobs
from llmproxy.orders import (
    Ask,
    Built,
    Committed,
    Failed,
    PeerDied,
    Ready,
    StartFailed,
    ToSupervisor,
)
from llmproxy.sockets import Binding, Listener, close_listeners, open_listeners
from llmproxy.solo import SoloControl

_SOCKET_PATH_LIMIT = 108 - len("/slot-999.4194304.sock.new\0")

_log = structlog.get_logger("llmproxy")

WorkerMain = Callable[[Worker], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is fixed until a restart.

    `source` gives the config's bytes; below `runtime_dir` (by default where the system keeps temporary files)
    the private directory of the workers' bus is made; `on_worker_death` is told slot and pid, in the
    supervisor.
    """

    listen: Sequence[Binding]
    workers: int
    source: Source
    drain_timeout: float = 30.0
    runtime_dir: Path | None = None
    pid_file: Path | None = None
    on_worker_death: Callable[[int, int], None] | None = None


def run(settings: Settings, worker_main: WorkerMain) -> int:
    """Serve until told to stop; return the exit code.

    One worker runs in this process. More are forked, so import beforehand what they share.
    """
    try:
        with _pid_file(settings.pid_file):
            data = _read(settings.source)
            opened = open_listeners(settings.listen, settings.workers)
            if settings.workers == 1:
                return worker_main(_lone_worker(settings, data, opened[0]))
            return _supervise(settings, worker_main, data, opened)
    except StartError as error:
        _say(str(error))
        return EXIT_REFUSED


def _read(source: Source) -> bytes:
    try:
        return source.read()
    except OSError as error:
        raise StartError(unreadable(error)) from error


def _lone_worker(settings: Settings, data: bytes, listeners: list[Listener]) -> Worker:
    # Until the loop takes them: process 1 has no default action for SIGTERM; HUP and USR2 must kill nobody.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    for number in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    return Worker(
        slot=0,
        slots=1,
        generation=1,
        data=data,
        listeners=tuple(listeners),
        bus_directory=None,
        drain_timeout=settings.drain_timeout,
        link=partial(SoloControl, settings.source, settings.drain_timeout),
    )


def _supervise(
    settings: Settings, worker_main: WorkerMain, data: bytes, opened: Sequence[Sequence[Listener]]
) -> int:
    gc.collect()
    gc.freeze()  # what is imported stays shared: a collection in a worker does not touch its pages
    with (
        _bus_directory(settings.runtime_dir) as bus,
        Fleet(opened, worker_main, settings.drain_timeout, bus) as fleet,
    ):
        return Supervisor(settings, fleet, data, bus).run()


class Supervisor:
    """Keep one worker in every slot; take signals, wishes and deaths as they come."""

    def __init__(self, settings: Settings, fleet: Fleet, data: bytes, bus: Path) -> None:
        self._settings = settings
        self._fleet = fleet
        self._bus = bus
        self._jobs = Jobs(fleet, settings.source, settings.drain_timeout, data)
        self._served = self._stopping = False
        self._code = 0
        self._watch_at = time.monotonic() + POLL_SECONDS

    def run(self) -> int:
        """Serve until told to stop; return the exit code."""
        for slot in self._fleet.slots:
            self._fleet.start(slot, self._jobs.generation, self._jobs.data)
        while self._fleet.children or not self._stopping:
            for event in self._fleet.events(self._patience()):
                self._on(event)
            self._on_time(time.monotonic())
            if self._stopping:
                self._jobs.refuse_all("the gateway is stopping")
            else:
                self._jobs.begin()
        return self._code

    def _on(self, event: Event) -> None:
        match event:
            case Signalled(number=signal.SIGHUP):
                self._jobs.want_reload()
            case Signalled(number=signal.SIGUSR2):
                self._jobs.want_successors(self._fleet.current())
            case Signalled():
                self._stop(event.number)
            case Heard():
                self._hear(event.child, event.message)
            case Died():
                self._died(event)

    def _hear(self, child: Child, message: ToSupervisor) -> None:
        match message:
            case Built() | Failed() | Committed():
                self._jobs.take(child, message)
            case Ready():
                self._ready(child)
            case StartFailed():
                child.refusal = message
            case Ask():
                self._wished(child, message)

    def _ready(self, child: Child) -> None:
        child.ready = True
        if not child.draining:
            child.kill_at = None
            self._jobs.ready(self._fleet.slots[child.slot])
        # By slot: a worker that died in the same moment has left the children, but its death is not told yet.
        if not self._served and all(slot.current and slot.current.ready for slot in self._fleet.slots):
            self._served = True
            _log.info("serving", workers=len(self._fleet.slots), pid=os.getpid())

    def _wished(self, child: Child, ask: Ask) -> None:
        if ask.wish == "reload":
            self._jobs.want_reload((child, ask.id))
        else:
            targets = self._fleet.current() if ask.wish == "roll" else [child]
            self._jobs.want_successors(targets, (child, ask.id))

    def _died(self, event: Died) -> None:
        child, reason, code = event.child, event.reason, event.code
        if child.refusal is not None:
            reason, code = child.refusal.reason, child.refusal.code
        (self._bus / Peer(child.slot, child.pid).file_name).unlink(missing_ok=True)
        if self._served and (code or not child.draining):
            self._tell_of_death(child, reason)
        self._jobs.lost(child, reason)
        slot = self._fleet.slots[child.slot]
        if slot.current is child:
            slot.current = None
        if self._stopping:
            self._code = self._code or code
        elif not self._served:
            self._give_up(reason, code)
        elif slot.empty:
            now = time.monotonic()
            slot.schedule_restart(now, now - child.started)

    def _tell_of_death(self, child: Child, reason: str) -> None:
        _log.error("worker_died", slot=child.slot, pid=child.pid, reason=reason)
        self._fleet.send(PeerDied(child.slot, child.pid), self._fleet.children)
        if self._settings.on_worker_death is not None:
            self._settings.on_worker_death(child.slot, child.pid)

    def _give_up(self, reason: str, code: int) -> None:
        """End everything because a worker could not start in the first place; say why once."""
        _say(reason)
        self._stopping = True
        self._code = code or 1
        kill(self._fleet.children.values())

    def _stop(self, number: int) -> None:
        if self._stopping:
            self._code = 128 + number
            kill(self._fleet.children.values())
            return
        self._stopping = True
        _log.info("stopping", signal=signal.Signals(number).name)
        for child in self._fleet.children.values():
            self._jobs.drain(child, handover=False)
        for slot in self._fleet.slots:
            close_listeners([slot.listeners])

    def _on_time(self, now: float) -> None:
        self._jobs.expire(now)
        for child in self._fleet.children.values():
            if child.kill_at is not None and now >= child.kill_at:
                self._kill_late(child)
        if self._stopping:
            return
        for slot in self._fleet.slots:
            if slot.restart_at is not None and now >= slot.restart_at and self._jobs.reload is None:
                self._restart(slot, now)
        if self._settings.source.changed is not None and now >= self._watch_at:
            self._watch_at = now + POLL_SECONDS
            if self._settings.source.changed():
                self._jobs.want_reload()

    def _restart(self, slot: Slot, now: float) -> None:
        try:
            self._fleet.start(slot, self._jobs.generation, self._jobs.data)
        except OSError as error:
            _log.error("fork_failed", slot=slot.number, reason=error.strerror)
            slot.schedule_restart(now, 0.0)

    def _kill_late(self, child: Child) -> None:
        what = "drained" if child.draining else "ready"
        child.refusal = StartFailed(f"worker {child.slot} was not {what} in time", 1)
        child.kill_at = None
        kill([child])

    def _patience(self) -> float | None:
        """Return the seconds until something is due, None when only an event can change anything."""
        due = [child.kill_at for child in self._fleet.children.values()]
        if self._jobs.reload is not None:
            due.append(self._jobs.reload.deadline)
        elif not self._stopping:
            due += [slot.restart_at for slot in self._fleet.slots]
        if self._settings.source.changed is not None and not self._stopping:
            due.append(self._watch_at)
        known = [moment for moment in due if moment is not None]
        return max(0.0, min(known) - time.monotonic()) if known else None


def _say(reason: str) -> None:
    sys.stderr.write(f"llmproxy: {reason}\n")


@contextmanager
def _bus_directory(parent: Path | None) -> Iterator[Path]:
    """Make the private directory of the bus for as long as there are workers."""
    directory = Path(tempfile.mkdtemp(prefix="llmproxy-", dir=parent))  # mode 0700
    try:
        if len(os.fsencode(directory)) > _SOCKET_PATH_LIMIT:
            raise StartError(f"the runtime directory '{parent}' has too long a name for the sockets below it")
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _pid_file(path: Path | None) -> Iterator[None]:
    """Keep this process's number in `path` while it runs."""
    if path is None:
        yield
        return
    try:
        path.write_text(f"{os.getpid()}\n", encoding="ascii")
    except OSError as error:
        raise StartError(f"cannot write the pid file '{path}': {error.strerror}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
