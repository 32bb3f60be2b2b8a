"""Bytes that outlive the worker that wrote them, one cell a worker slot.

Theory. The supervisor makes the cells before it forks, in unlinked memory files, and every worker inherits
them. Two workers may hold one slot for a while (one drains while its successor serves), so a cell is changed
under a record lock, which the kernel takes from a process that dies. A cell is two files written in turn,
each with a version and a checksum: whoever is killed in the middle of a write leaves the other file whole,
and a reader needs no lock.
"""

from __future__ import annotations

import fcntl
import os
import struct
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from zlib import crc32

_HEADER: Final = struct.Struct(">QII")
_TRIES: Final = 20
_PAUSE: Final = 0.001

Pair = tuple[int, int]


class Totals:
    """A cell for each worker slot; empty at first."""

    def __init__(self, slots: int) -> None:
        self._files: list[Pair] = [(_memory_file(), _memory_file()) for _ in range(slots)]

    def update(self, slot: int, change: Callable[[bytes], bytes]) -> bool:
        """Replace a slot's content by what `change` makes of it; False if another process holds on to it.

        The wait is 20 ms at most: it is only ever for another worker's write, unless that worker was stopped.
        """
        files = self._files[slot]
        if not _lock(files[0]):
            return False
        try:
            version, data = _newest(files)
            _write(files[(version + 1) % 2], version + 1, change(data))
        finally:
            fcntl.lockf(files[0], fcntl.LOCK_UN)
        return True

    def read(self) -> list[bytes]:
        """Return the content of every cell that was ever written."""
        return [data for _, data in map(_newest, self._files) if data]

    def close(self) -> None:
        """Give the memory back."""
        for pair in self._files:
            for file in pair:
                os.close(file)
        self._files = []


def _memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("llmproxy-totals")
    with tempfile.TemporaryFile() as file:  # where the system has no memory files
        return os.dup(file.fileno())


def _lock(file: int) -> bool:
    for _ in range(_TRIES):
        with suppress(BlockingIOError, PermissionError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_PAUSE)
    return False


def _newest(files: Pair) -> tuple[int, bytes]:
    found = max(_read(file) for file in files)
    if found[0] or not any(os.fstat(file).st_size for file in files):
        return found
    return max(_read(file) for file in files)  # two writes overtook the first look


def _read(file: int) -> tuple[int, bytes]:
    """Return a file's version and content, version 0 if it is empty or half written."""
    raw = os.pread(file, os.fstat(file).st_size, 0)
    if len(raw) < _HEADER.size:
        return 0, b""
    version, length, checksum = _HEADER.unpack_from(raw)
    data = raw[_HEADER.size : _HEADER.size + length]
    return (version, data) if len(data) == length and crc32(data) == checksum else (0, b"")


def _write(file: int, version: int, data: bytes) -> None:
    os.pwrite(file, _HEADER.pack(version, len(data), crc32(data)) + data, 0)
