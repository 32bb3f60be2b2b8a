"""Who writes next, among the threads and processes of a host; nobody is waited for longer than a moment.

LMDB's own lock is waited for without an end: a worker that was stopped in the middle of a write would stop them
all. So writers come through here first; a process that dies gives its turn back.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path
from threading import RLock
from time import monotonic, sleep
from typing import Final

from llmproxy.stores.breaker import Breaker

_SHORTEST: Final = 20e-6  # a small write takes this long
_LONGEST: Final = 1e-3
_CLOSED: Final = -1
_NOW: Final = LOCK_EX | LOCK_NB


class Turnstile:
    """One writer at a time; `lock` is what its threads exclude each other by."""

    def __init__(self, path: Path) -> None:
        self.lock = RLock()
        self._file = _open(path)
        # A writer that hangs is waited for twice, then once a second.
        self._breaker = Breaker(2, 1.0)

    def enter(self, patience: float) -> bool:
        """Take the turn, within `patience` s; whoever got it leaves."""
        if self._breaker.closed and self._enter_at_once():
            return True
        if self._file == _CLOSED or not self._breaker.admits():
            return False
        if self._enter(monotonic() + patience, patience):
            self._breaker.succeeded()
            return True
        self._breaker.failed()
        return False

    def _enter_at_once(self) -> bool:
        """Take the turn if it is free, as it nearly always is."""
        if self._file == _CLOSED or not self.lock.acquire(blocking=False):
            return False
        try:
            flock(self._file, _NOW)
        except BlockingIOError:
            self.lock.release()
            return False
        except BaseException:
            self.lock.release()
            raise
        return True

    def leave(self) -> None:
        """Let the next one in."""
        flock(self._file, LOCK_UN)
        self.lock.release()

    def turn_to(self, path: Path) -> None:
        """Exclude by another file from now on; the caller holds `lock`."""
        os.close(self._file)
        self._file = _open(path)

    def close(self) -> None:
        """Let nobody in any more."""
        os.close(self._file)
        self._file = _CLOSED

    def _enter(self, deadline: float, patience: float) -> bool:
        if not self.lock.acquire(timeout=patience):
            return False
        pause = _SHORTEST
        while True:
            try:
                flock(self._file, _NOW)
            except BlockingIOError:
                if monotonic() >= deadline:
                    self.lock.release()
                    return False
                sleep(pause)
                pause = min(2 * pause, _LONGEST)
            else:
                return True


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
