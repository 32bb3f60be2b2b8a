"""Purges in constant time: a board on which is written when each tag was last purged.

Theory of operation. A tag is hashed to one of a fixed number of slots. A purge takes the next number of one sequence
and writes it into the slots of its tags, then makes it the board's own. An entry carries the number that was current
*before its request was sent*, and the slots of its tags: it is purged if one of them holds a later number. So a purge
takes the same time however much it covers, it covers answers that are still being written, and it is seen by every
process that has the board's memory in view, at once. Two tags in one slot only purge too much. A second row of slots
is for soft purges, which leave an entry stale instead of gone.

The board has an id. What was stored under another board cannot be judged, so it counts as purged: a lost board loses
entries and brings none back.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import struct
from collections.abc import Iterable
from contextlib import contextmanager
from enum import IntEnum
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from llmproxy.caching.entry import Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Slots of each row. A purge hits another tag's entries by chance once in as many.
SLOTS: Final = 1 << 20
_HEAD: Final = 4096
_SIZE: Final = _HEAD + 2 * 8 * SLOTS

#: The head, as numbers of eight bytes: what the file is, the board's id, its sequence; then what names the host's run.
_MAGIC: Final = int.from_bytes(b"LPboard1", "little")
_ID, _SEQUENCE = 1, 2
_BOOT: Final = 64
_CLOSED: Final = b"closed"
_HARD: Final = _HEAD // 8
_SOFT: Final = _HARD + SLOTS


class Verdict(IntEnum):
    """What the board says of an entry: as good as when it was stored, to be used as stale, or gone."""

    GOOD = 0
    SOFT = 1
    PURGED = 2


def slot_of(*parts: str) -> int:
    """Return the slot of a tag, which is named by its parts."""
    digest = blake2b(digest_size=8)
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(text))
        digest.update(text)
    return int.from_bytes(digest.digest(), "little") % SLOTS


class Board:
    """The purge board of one store on this host, shared by its processes if it has a file.

    One object a file and process: locks of files do not keep a process from itself.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open the board in `path`, or make one; without a path it is this process's own.

        Raises:
            OSError: the file cannot be made or opened.
        """
        self._claim = -1 if path is None else _open(path)
        self._map = mmap.mmap(self._claim, _SIZE)
        self._row = memoryview(self._map).cast("Q")
        if path is None:
            self._begin(secrets.randbits(63) | 1)
        self.id = int(self._row[_ID])

    def _begin(self, name: int) -> None:
        self._row[_ID] = name
        self._row[_SEQUENCE] = 1
        self._row[0] = _MAGIC

    @property
    def sequence(self) -> int:
        """The number of the last purge."""
        return self._row[_SEQUENCE]

    def now(self) -> Mark:
        """Return the mark of an answer whose request is sent after this call."""
        return Mark(self.id, self._row[_SEQUENCE])

    def judge(self, mark: Mark, slots: Iterable[int]) -> Verdict:
        """Say whether an entry of that mark and those tags may be used."""
        board, sequence = mark
        row = self._row
        if board != self.id:
            return Verdict.PURGED
        if row[_SEQUENCE] == sequence:
            return Verdict.GOOD
        verdict = Verdict.GOOD
        for slot in slots:
            if row[_HARD + slot] > sequence:
                return Verdict.PURGED
            if row[_SOFT + slot] > sequence:
                verdict = Verdict.SOFT
        return verdict

    def purge(self, slots: Iterable[int], *, soft: bool = False, sequence: int | None = None) -> int:
        """Purge whatever has one of these tags; return the purge's number.

        `sequence` is the number that another host gave it; entries marked earlier than it are purged.
        """
        start = _SOFT if soft else _HARD
        with self._alone():
            row = self._row
            number = row[_SEQUENCE] + 1 if sequence is None else sequence
            for slot in slots:
                row[start + slot] = max(number, row[start + slot])
            # Written last: whoever sees the number sees what it purged.
            row[_SEQUENCE] = max(number, row[_SEQUENCE])
        return number

    def adopt(self, name: int) -> None:
        """Take over the id that several hosts share; what stands here is forgotten if it was another's."""
        with self._alone():
            if self._row[_ID] != name:
                self._map.madvise(mmap.MADV_REMOVE)  # zeros again, and no memory taken for them
                self._begin(name)
        self.id = name

    def close(self) -> None:
        """Let go; the last process to do so writes a file out, so that it outlives the host's next start."""
        self._row.release()
        if self._claim < 0:
            self._map.close()
            return
        if _try_alone(self._claim):
            self._map.flush()
            self._map[_BOOT : _BOOT + 64] = _CLOSED.ljust(64, b"\0")
            self._map.flush(0, _HEAD)
        self._map.close()
        os.close(self._claim)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads and processes from writing meanwhile."""
        with _thread:
            if self._claim >= 0:
                fcntl.lockf(self._claim, fcntl.LOCK_EX, 1)
            try:
                yield
            finally:
                if self._claim >= 0:
                    fcntl.lockf(self._claim, fcntl.LOCK_UN, 1)


_thread = Lock()


def _open(path: Path) -> int:
    """Return the file, held as one of its users; its first user begins anew what a crash may have cut short."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if _try_alone(file):
            head = os.pread(file, _HEAD, 0)
            run = head[_BOOT : _BOOT + 64].rstrip(b"\0")
            if not (
                head[:8] == _MAGIC.to_bytes(8, "little")
                and run in (_boot(), _CLOSED)
                and os.fstat(file).st_size == _SIZE
            ):
                os.ftruncate(file, 0)
                os.ftruncate(file, _SIZE)
                os.pwrite(file, struct.pack("<QQQ", _MAGIC, secrets.randbits(63) | 1, 1), 0)
            os.pwrite(file, _boot().ljust(64, b"\0"), _BOOT)
            fcntl.flock(file, fcntl.LOCK_SH)
        else:
            fcntl.flock(
                file, fcntl.LOCK_SH
            )  # waits while the first user makes it ready, or the last one leaves
            os.pwrite(file, _boot().ljust(64, b"\0"), _BOOT)
    except BaseException:
        os.close(file)
        raise
    return file


def _try_alone(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _boot() -> bytes:
    """Return what names this run of the host; where there is no such name, every file is trusted."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        return b"unknown"
