"""Where the processes of one gateway meet: a private folder with a socket, locks and a key for each model."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import Final, NamedTuple

#: What tells this process's folder from one that an earlier process of the same number left behind.
_NONCE: Final = token_hex(4)


def mark_of(*settings: object) -> str:
    """Return what tells these settings from others."""
    return blake2b(repr(settings).encode(), digest_size=4).hexdigest()


class Places(NamedTuple):
    """The files of one model's server; `mark` tells it from one of other settings, which a reload may bring."""

    folder: Path
    name: str
    mark: str = ""

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._file("sock")

    @property
    def ready(self) -> Path:
        """Holds its key while it serves; touched by who asks."""
        return self._file("ready")

    @property
    def alive(self) -> Path:
        """Locked by it for as long as it lives."""
        return self._file("alive")

    @property
    def gate(self) -> Path:
        """Locked by who looks whether it serves, and by it while it leaves."""
        return self._file("gate")

    @property
    def start(self) -> Path:
        """Locked by who starts it."""
        return self._file("start")

    @property
    def log(self) -> Path:
        """What it says of its start."""
        return self._file("log")

    def _file(self, kind: str) -> Path:
        return self.folder / f"{self.name}{self.mark and '-'}{self.mark}.{kind}"

    def remove(self) -> None:
        """Remove them, and the folder with the last of them."""
        with suppress(OSError):
            for file in self.folder.glob(f"{self._file('*').name}"):
                file.unlink()
            self.folder.rmdir()


def folder_of(shared: Path | None, plugin: str) -> Path:
    """Return the folder that all workers of this gateway know; `shared` is what they share, None for one alone."""
    if shared is not None:
        return shared / plugin
    return Path(tempfile.gettempdir()) / f"llmproxy-{os.getpid()}-{_NONCE}-{plugin}"


def _own_folder(folder: Path) -> None:
    """Make the folder, which one who left may have taken along; another user may have made it meanwhile.

    Raises:
        PermissionError: it is open to others, or theirs.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder.name} is not this user's alone")


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a lock, if nobody else does; say whether."""
    _own_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Say whether somebody holds a lock."""
    with locked(path) as ours:
        return not ours
