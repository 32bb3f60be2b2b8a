"""All workers of a supervisor: started in their slots, heard through one selector."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import socket

from llmproxy.children import Child, Signals, Slot, describe_end, fork_worker, reap
from llmproxy.control import Worker, WorkerControl
from llmproxy.orders import ToSupervisor, ToWorker
from llmproxy.sockets import Listener
from llmproxy.totals import Totals

START_SECONDS = 60.0  # until a worker must be ready


@dataclass(frozen=True, slots=True)
class Signalled:
    """The supervisor got a signal (never SIGCHLD)."""

    number: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A worker said something."""

    child: Child
    message: ToSupervisor


@dataclass(frozen=True, slots=True)
class Died:
    """A worker ended, in words and as an exit code."""

    child: Child
    reason: str
    code: int


Event = Signalled | Heard | Died


class Fleet:
    """Start workers and tell what happens to them; decide nothing."""

    def __init__(
        self,
        opened: Sequence[Sequence[Listener]],
        main: Callable[[Worker], int],
        drain_timeout: float,
        bus: Path,
    ) -> None:
        self.slots = [Slot(number, tuple(listeners)) for number, listeners in enumerate(opened)]
        self.children: dict[int, Child] = {}
        self._main = main
        self._drain_timeout = drain_timeout
        self._bus = bus
        self._totals = Totals(len(self.slots))
        self._signals = Signals()
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Fleet:
        self._signals.__enter__()
        self._selector.register(self._signals.fd, selectors.EVENT_READ)
        return self

    def __exit__(self, *exc: object) -> None:
        self._selector.close()
        self._totals.close()
        self._signals.__exit__(None, None, None)
        for child in self.children.values():
            child.channel.sock.close()

    def start(self, slot: Slot, generation: int, data: bytes) -> Child:
        """Fork a worker for `slot`; it is a successor if the slot still has one."""
        make = partial(self._worker, slot, generation, data)
        pid, channel = fork_worker(make, self._main, partial(self._undo, slot))
        now = time.monotonic()
        child = Child(slot.number, pid, channel, now, now + START_SECONDS)
        self.children[pid] = child
        self._selector.register(channel.sock, selectors.EVENT_READ, child)
        slot.restart_at = None
        if slot.current is None:
            slot.current = child
        else:
            slot.successor = child
        return child

    def current(self) -> list[Child]:
        """Return the workers that hold a slot now."""
        return [slot.current for slot in self.slots if slot.current is not None]

    def send(self, message: ToWorker, to: Iterable[int]) -> None:
        """Send to those of the pids that still live."""
        for child in filter(None, map(self.children.get, to)):
            child.channel.send(message)

    def events(self, timeout: float | None) -> list[Event]:
        """Wait for something to happen, `timeout` seconds at most."""
        self._arm()
        events: list[Event] = []
        signals: set[int] = set()
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                signals = self._signals.read()
            else:
                events += self._hear(key.data)
        events += [Signalled(number) for number in sorted(signals - {signal.SIGCHLD})]
        if signal.SIGCHLD in signals:
            events += self._bury()
        return events

    def _arm(self) -> None:
        for key in [*self._selector.get_map().values()]:
            if key.data is not None:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if key.data.channel.blocked else 0)
                if wanted != key.events:
                    self._selector.modify(key.fileobj, wanted, key.data)

    def _hear(self, child: Child) -> list[Event]:
        child.channel.flush()
        messages, is_open = child.channel.receive()
        if not is_open and child.channel.sock in self._selector.get_map():
            self._selector.unregister(child.channel.sock)
        return [Heard(child, message) for message in messages]

    def _bury(self) -> list[Event]:
        events: list[Event] = []
        for pid, status in reap():
            if (child := self.children.pop(pid, None)) is None:
                continue
            last_words = self._hear(child)
            if child.channel.sock in self._selector.get_map():
                self._selector.unregister(child.channel.sock)
            child.channel.sock.close()
            events += [*last_words, Died(child, *describe_end(child.slot, status))]
        return events

    def _worker(self, slot: Slot, generation: int, data: bytes, control: socket) -> Worker:
        return Worker(
            slot=slot.number,
            slots=len(self.slots),
            generation=generation,
            data=data,
            listeners=slot.listeners,
            bus_directory=self._bus,
            drain_timeout=self._drain_timeout,
            link=partial(WorkerControl, control, self._drain_timeout),
            totals=self._totals,
        )

    def _undo(self, slot: Slot) -> None:
        """Close, in a fresh child, what is the supervisor's and what other slots listen on."""
        self._signals.forget()
        self._selector.close()
        for child in self.children.values():
            child.channel.sock.close()
        kept = {listener.sock for listener in slot.listeners}
        for other in self.slots:
            for listener in other.listeners:
                if listener.sock not in kept:
                    listener.sock.close()


def kill(children: Iterable[Child]) -> None:
    """End workers at once."""
    for child in children:
        os.kill(child.pid, signal.SIGKILL)  # not reaped yet, so the pid is still theirs
