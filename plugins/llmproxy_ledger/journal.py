"""A worker's journal: what is written at once, made durable in groups, and kept until the database has it.

Theory of operation. A journal has a random name, a lock file that its process holds for as long as it lives, and
numbered segments. A record is written at once, which takes two microseconds: it outlives the process from then on, and
the machine from the next sync on. The thread of the journal syncs, closes segments that are full, and writes what could
not be written before. Whoever can take the lock of another journal knows that its process is dead. What was written is
remembered until it was posted too, so that its own process need not read it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from llmproxy_ledger.records import PriceList, Record, frame
from llmproxy_ledger.remembering import Memory, Remembered

LOCK: Final = ".lock"
SEGMENT: Final = ".journal"
#: Bytes that wait in memory while a journal cannot be written; what comes then is dropped, and counted.
MOST_WAITING: Final = 16 << 20
#: What stands for the segment of a journal that has ended.
_ENDED: Final = -1


class JournalFault(Exception):
    """The journal cannot be written."""


class Taken(NamedTuple):
    """What is to be posted, and up to where that stands in the journal's files."""

    what: Remembered
    segment: Path
    size: int


class Journal:
    """The journal of one process. `faulty` is called with each failure, `dropped` for each row that was lost to one."""

    def __init__(
        self,
        directory: Path,
        *,
        segment: int,
        every: float,
        rows: int,
        faulty: Callable[[Exception], None] = lambda fault: None,
        dropped: Callable[[], None] = lambda: None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory = directory
        self.name, self._lock_file = _claimed(directory)
        #: Whether new calls are refused, as there is no room for what they leave.
        self.full = False
        self._entries, self._segments = count(1), count(1)
        self._most, self._every, self._rows = segment, every, rows
        self._faulty, self._dropped = faulty, dropped
        self._guard = threading.Lock()
        self._waiting = bytearray()
        self._unsynced = 0
        self._full: deque[int] = deque()
        self._memory = Memory()
        self._told: set[str] = set()
        self._wake, self._stopping = threading.Event(), False
        self.current, self._fd, self._size = directory, _ENDED, 0
        self._open()
        self._thread = threading.Thread(target=self._run, name=f"ledger-{self.name}", daemon=True)
        self._thread.start()

    def entry(self) -> str:
        """Return a name for a row that no other has, of any process."""
        return f"{self.name}-{next(self._entries):x}"

    def intend(self, record: Record) -> None:
        """Write what must outlive this process from now on.

        Raises:
            JournalFault: it cannot be written, or is full.
        """
        if self.full:
            raise JournalFault("the ledger's journals have reached their limit")
        data = frame(record)
        with self._guard:
            fault = self._write(data)  # where that fails its call does not leave
            if fault is None:
                self._memory.begin(record, self.current)
        if fault is not None:
            self._faulty(fault)
            raise JournalFault("the ledger's journal cannot be written") from fault

    def put(self, record: Record) -> None:
        """Write a record; what cannot be written waits until it can, and `flush` tells of it."""
        data = frame(record)
        with self._guard:
            if self._fd == _ENDED or len(self._waiting) > MOST_WAITING:
                self._dropped()
                return
            if self._write(data) is not None:
                self._waiting += data
            self._memory.add(record)

    def take(self, *, every: bool = False) -> Taken:
        """Return what was written since this was last asked, and calls that the database has to hear of, or all."""
        with self._guard:
            return Taken(self._memory.take(self.current, every=every), self.current, self._size)

    def posted(self, *, done: bool) -> None:
        """Hear whether what was taken could be posted."""
        with self._guard:
            (self._memory.posted if done else self._memory.forget)()

    def list_price(self, record: PriceList) -> None:
        """Write what a version of prices stands for, once."""
        if record.version not in self._told:
            self._told.add(record.version)
            self.put(record)

    def flush(self) -> None:
        """Write what waits and make it durable; for threads that may wait."""
        try:
            with self._guard:
                if self._fd == _ENDED:
                    return
                fault = self._write() or self._next()
                descriptor = os.dup(self._fd)
            try:
                self._close_full()
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            fault = error
        if fault is not None:
            self._faulty(fault)

    def close(self) -> None:
        """Write and sync the rest; the lock goes with the process, or with `leave`."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self.flush()
        with self._guard:
            # Its number may be another file's from now on.
            os.close(self._fd)
            self._fd = _ENDED

    def leave(self, *, done: bool = True) -> None:
        """Give the lock back; if the database has all, nothing is left for others to take over."""
        if done and not any(self.directory.glob(f"{self.name}-*{SEGMENT}")):
            (self.directory / (self.name + LOCK)).unlink(missing_ok=True)
        os.close(self._lock_file)

    def _run(self) -> None:
        pause = threading.Event()
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            if self._unsynced < self._rows and not self._stopping:
                # A group gathers meanwhile; one that is large enough is not waited for longer.
                pause.wait(self._every)
            with self._guard:
                self._unsynced = 0
            self.flush()

    def _write(self, data: bytes = b"") -> OSError | None:
        """Write what waits, and this behind it, whole or not at all; what waits goes on waiting if it cannot be."""
        if data:
            self._unsynced += 1
            if self._unsynced in (1, self._rows):
                self._wake.set()
        if self._fd == _ENDED:
            return OSError("it has ended")
        if self._waiting:
            data = bytes(self._waiting) + data
        if not data:
            return None
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError as fault:
            _cut(self._fd, self._size)
            return fault
        self._size += written
        if self._waiting:
            self._waiting.clear()
        if self._size >= self._most:
            self._next()  # if there is no room for another one, `flush` tells
        return None

    def _next(self) -> OSError | None:
        """Begin another segment if this one is full; it is gone on with as long as that cannot be done."""
        if self._size < self._most:
            return None
        full = self._fd
        try:
            self._open()
        except OSError as fault:
            return fault
        self._full.append(full)
        return None

    def _open(self) -> None:
        path = self.directory / f"{self.name}-{next(self._segments):08x}{SEGMENT}"
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        self.current = path

    def _close_full(self) -> None:
        with suppress(IndexError):  # whatever another thread takes meanwhile
            while True:
                descriptor = self._full.popleft()
                try:
                    os.fdatasync(descriptor)
                finally:
                    os.close(descriptor)


def _cut(descriptor: int, size: int) -> None:
    """Take back what was written of something that did not fit; a reader stops at what is left of it otherwise."""
    with suppress(OSError):
        os.ftruncate(descriptor, size)


def _claimed(directory: Path) -> tuple[str, int]:
    """Return a new name and its locked file."""
    while True:
        name = secrets.token_hex(8)  # many gateways may post to one database
        held = claim(directory / (name + LOCK), new=True)
        if held is not None:
            return name, held


def claim(path: Path, *, new: bool = False) -> int | None:
    """Return the descriptor of a lock file, locked; None where another process holds it, or has removed it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if new else 0), 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def journals(directory: Path) -> list[str]:
    """Return the names of all journals there."""
    return sorted(path.name.removesuffix(LOCK) for path in directory.glob("*" + LOCK))


def segments(directory: Path, name: str) -> list[Path]:
    """Return a journal's segments in order."""
    return sorted(directory.glob(f"{name}-*{SEGMENT}"))
