"""Worker processes as the supervisor sees them: forked, heard, replaced."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import NoReturn

from llmproxy.control import Channel, Worker, tell_start_failed
from llmproxy.errors import StartError
from llmproxy.orders import StartFailed
from llmproxy.sockets import Listener

EXIT_REFUSED = 78  # sysexits' EX_CONFIG: the configuration, or an address, cannot be served

SOON = 5.0  # a worker that ends earlier than this after its start crashed again

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 5.0
_OWN_SIGNALS = (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)


@dataclass(slots=True, eq=False)
class Child:
    """One worker process.

    `kill_at` is when its present task (start, drain) has taken too long; `refusal` is why it cannot start.
    """

    slot: int
    pid: int
    channel: Channel
    started: float
    kill_at: float | None
    ready: bool = False
    draining: bool = False
    refusal: StartFailed | None = None


@dataclass(slots=True, eq=False)
class Slot:
    """One worker's place: its listening sockets stay while workers come and go."""

    number: int
    listeners: tuple[Listener, ...]
    current: Child | None = None
    successor: Child | None = None
    restart_at: float | None = None
    _wait: float = field(default=0.0)

    @property
    def starting(self) -> bool:
        """Whether a worker of this slot is on its way."""
        return self.successor is not None or (self.current is not None and not self.current.ready)

    @property
    def empty(self) -> bool:
        """Whether nobody serves this slot, nor will without being started."""
        return self.current is None and self.successor is None and self.restart_at is None

    def schedule_restart(self, now: float, lived: float) -> None:
        """Restart at once, later each time a worker ends soon after its start."""
        wait = self._wait if lived < SOON else 0.0
        self._wait = min(_LONGEST_WAIT, max(_FIRST_WAIT, 2 * wait))
        self.restart_at = now + wait


class Signals:
    """Signals as bytes of a pipe a selector can wait on."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write, False)

    def __enter__(self) -> Signals:
        for number in _OWN_SIGNALS:
            signal.signal(number, _leave_to_the_pipe)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number in _OWN_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        self.close()

    def read(self) -> set[int]:
        """Return the signals that came since the last call."""
        try:
            return set(os.read(self.fd, 4096))
        except BlockingIOError:
            return set()

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.fd)
        os.close(self._write)

    def forget(self) -> None:
        """Undo everything in a forked child: the supervisor alone decides on HUP, INT and USR2."""
        signal.set_wakeup_fd(-1)
        for number in _OWN_SIGNALS:
            theirs = number in {signal.SIGHUP, signal.SIGINT, signal.SIGUSR2}
            signal.signal(number, signal.SIG_IGN if theirs else signal.SIG_DFL)
        self.close()


def fork_worker(
    make_worker: Callable[[socket.socket], Worker], main: Callable[[Worker], int], undo: Callable[[], None]
) -> tuple[int, Channel]:
    """Fork a process that runs `main`; return its pid and the channel to it.

    `undo` runs first in the child: it closes what belongs to the supervisor and to other workers.
    """
    ours, theirs = socket.socketpair()
    with _no_signals() as before:
        pid = os.fork()
        if pid == 0:

            def serve() -> int:
                undo()
                ours.close()
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                return main(make_worker(theirs))

            _live(serve, theirs)
    theirs.close()
    return pid, Channel(ours)


def describe_end(slot: int, status: int) -> tuple[str, int]:
    """Return in words how a worker ended, and its exit code (128 + n for signal n)."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return f"worker {slot} was ended by {signal.Signals(-code).name}", 128 - code
    return f"worker {slot} ended with exit code {code}", code


def reap() -> Iterator[tuple[int, int]]:
    """Yield pid and wait status of every child that ended, orphans too when this is process 1."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            yield pid, status


def _live(serve: Callable[[], int], control: socket.socket) -> NoReturn:
    """Be the worker, and nothing else: the supervisor's frames below must not run on in the child."""
    code = 1
    try:
        code = serve()
    except StartError as error:
        code = EXIT_REFUSED
        _tell(control, str(error), code)
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _tell(control: socket.socket, reason: str, code: int) -> None:
    try:
        tell_start_failed(control, reason, code)
    except OSError:
        sys.stderr.write(f"llmproxy: {reason}\n")


@contextmanager
def _no_signals() -> Iterator[set[int | signal.Signals]]:
    """Hold signals back, so that none reaches a child while it has the supervisor's handlers."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_to_the_pipe(number: int, frame: object) -> None:
    """Do nothing; a handler must exist for the wake-up descriptor to be written."""
