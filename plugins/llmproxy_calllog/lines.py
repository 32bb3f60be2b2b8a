"""Records as lines of JSON: in files that are put aside when they are large, or on standard output."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from llmproxy_calllog.call import Record, told

#: Files deleted in one step.
_STEP: Final = 16


def line(record: Record) -> bytes:
    """Return a record as a line."""
    fields = told(record.call._asdict())
    fields |= {name: text for name in ("request", "answer") if (text := getattr(record, name)) is not None}
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


class Output:
    """Writes to standard output, or to another file that is open."""

    def __init__(self, number: int | None = None) -> None:
        self._number = sys.stdout.fileno() if number is None else number

    def write(self, records: Sequence[Record]) -> None:
        """Write records."""
        _write(self._number, b"".join(map(line, records)))

    def tidy(self, keep: float | None, most: int | None) -> bool:
        """Nothing of what was written is ours."""
        return False

    def close(self) -> None:
        """It stays open."""


class Files:
    """Appends to one file, which any number of processes may do at once; `path.TIME` are those put aside."""

    def __init__(self, path: Path, rotate_at: int, wall: Callable[[], float]) -> None:
        self._path = path
        self._rotate_at = rotate_at
        self._wall = wall
        self._number = _open(path)

    def write(self, records: Sequence[Record]) -> None:
        """Write records; whoever finds the file large puts it aside, and all others go over to the new one."""
        fcntl.flock(self._number, fcntl.LOCK_EX)
        try:
            while not self._current():
                os.close(self._number)
                self._number = _open(self._path)
                fcntl.flock(self._number, fcntl.LOCK_EX)
            _write(self._number, b"".join(map(line, records)))
            if os.fstat(self._number).st_size >= self._rotate_at:
                self._path.rename(self._aside())
        finally:
            fcntl.flock(self._number, fcntl.LOCK_UN)

    def _current(self) -> bool:
        """Whether the open file is still the one of that name."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._number))
        except FileNotFoundError:
            return False

    def _aside(self) -> Path:
        stamp = datetime.fromtimestamp(self._wall(), UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        return self._path.with_name(f"{self._path.name}.{stamp}")

    def tidy(self, keep: float | None, most: int | None) -> bool:
        """Delete files that were put aside: those older than `keep`, and the oldest while all are more than `most`."""
        aside = sorted(self._path.parent.glob(f"{_literal(self._path.name)}.*T*Z"))
        sizes = [(path, path.stat().st_size, path.stat().st_mtime) for path in aside]
        total = sum(size for _, size, _ in sizes) + os.fstat(self._number).st_size
        deleted = 0
        for path, size, changed in sizes[:_STEP]:
            old = keep is not None and changed < self._wall() - keep
            if old or (most is not None and total > most):
                path.unlink(missing_ok=True)
                total -= size
                deleted += 1
        return deleted == _STEP

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._number)


def _literal(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write(number: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(number, left) :]
