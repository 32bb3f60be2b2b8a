"""The file that configures everything: read as bytes, watched for changes by polling."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Signature = tuple[int, int, int, int]

POLL_SECONDS = 1.0


class WatchedFile:
    """Tell when a file holds something other than what was last read.

    Polled, because inotify sees neither a Kubernetes ConfigMap's swapped symlink nor a network file system.
    A new signature must stand for two polls, so that a file still being written is not read half.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Signature | None = None
        self._settling: Signature | None = None
        self._digest = b""

    def read(self) -> bytes:
        """Return the file's bytes and take them as known."""
        self._seen = self._settling = self._sign()
        data = self._path.read_bytes()
        self._digest = _digest(data)
        return data

    def poll(self) -> bool:
        """Return True once when the file settled with other bytes than those last read."""
        signature = self._sign()
        if signature is None or signature == self._seen:
            self._settling = signature
            return False
        if signature != self._settling:
            self._settling = signature
            return False
        self._seen = signature
        return self._differs()

    def _sign(self) -> Signature | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size, status.st_dev

    def _differs(self) -> bool:
        try:
            return _digest(self._path.read_bytes()) != self._digest
        except OSError:
            return False


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Source:
    """Where the configuration's bytes come from; `changed`, if any, is asked every `POLL_SECONDS`."""

    read: Callable[[], bytes]
    changed: Callable[[], bool] | None = None


def file_source(path: Path, *, watch: bool) -> Source:
    """Return the source that reads `path`, and watches it if wanted."""
    file = WatchedFile(path)
    return Source(file.read, file.poll if watch else None)
