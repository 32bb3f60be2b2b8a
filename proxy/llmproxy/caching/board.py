"""Purges in constant time: a board on which is written when each tag was last purged.

Theory of operation. A tag is hashed to two of a fixed number of cells. A purge takes the next number of one sequence
and writes it into the cells of its tags, then makes it the board's own. An entry carries the number that was current
*before its request was sent*, and the slots of its tags: it is purged if both cells of one of them hold a later
number. So a purge takes the same time however much it covers, it covers answers that are still being written, and it
is seen by every process that has the board's memory in view, at once. Tags that share both cells only purge too much;
with one cell a tag, an entry of thirty tags would be lost to each quarter of ten thousand purges. One row of cells is
for all purges, a second for hard ones: what is only in the first was purged softly, and leaves an entry stale instead
of gone.

The board has an id. What was stored under another board cannot be judged, so it counts as purged: a lost board loses
entries and brings none back. That holds while it is used too: a file that was taken away, cut short or written over
is left by whoever notices, who takes the id out of it first, so that nobody goes on with a board which others do not
see.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import struct
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from enum import IntEnum
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.caching.entry import Mark
from llmproxy.stores.lostpages import guard

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Cells of each row.
CELLS: Final = 1 << 20
_LAST: Final = CELLS - 1
_HEAD: Final = 65536  # the largest page that a host may have
_SIZE: Final = _HEAD + 2 * 8 * CELLS

#: The head, as numbers of eight bytes: what the file is, the board's id, the number that entries are marked with, the
#: latest one in any cell, that of the last purge that callers must not join a call from before; then what names the
#: host's run.
_MAGIC: Final = int.from_bytes(b"LPboard2", "little")
_ID, _SEQUENCE, _LATEST, _BARRIER = 1, 2, 3, 4
_BOOT: Final = 64
_CLOSED: Final = b"closed"
_ANY: Final = _HEAD // 8
_HARD: Final = _ANY + CELLS

#: What no sequence comes to.
_ENDLESS: Final = 1 << 63

#: How far a number that this host gave by itself is beyond those that other hosts may have given meanwhile.
_AHEAD: Final = 1 << 20


class Verdict(IntEnum):
    """What the board says of an entry: as good as when it was stored, to be used as stale, or gone."""

    GOOD = 0
    SOFT = 1
    PURGED = 2


class Cell(NamedTuple):
    """What stands in one cell: the number of its last purge of any kind, and of its last hard one."""

    place: int
    any: int
    hard: int


class Purged(NamedTuple):
    """A purge's number, and whether every host knows of it; if not, this one obeys it and the others will."""

    number: int
    everywhere: bool = True


def slot_of(*parts: str) -> int:
    """Return the slot of a tag, which is named by its parts: 32 bits that say where its cells are."""
    text = "".join([f"{len(part)}:{part}" for part in parts])
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def cells_of(slot: int) -> tuple[int, int]:
    """Return the two cells of a slot; two slots that share the first share the second once in 4096 times."""
    first = slot & _LAST
    return first, first ^ (((slot >> 20) + 1) * 0x9E37B & _LAST)


class Board:
    """The purge board of one store on this host, shared by its processes if it has a file.

    One object a file and process: locks of files do not keep a process from itself.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open the board in `path`, or make one; without a path it is this process's own.

        Raises:
            OSError: the file cannot be made or opened.
        """
        self._path = path
        #: Whether that was done while an entry was judged, and nobody was told.
        self._begun_anew = False
        self._look(-1 if path is None else _open(path))
        if path is None:
            self._begin(new_id())
        else:
            _ = self.heal()

    def _look(self, claim: int) -> None:
        """See the board in an open file, or one of this process's own."""
        self._claim = claim
        self._torn = False
        self._map = mmap.mmap(claim, _SIZE)
        self._row = memoryview(self._map).cast("Q")
        self._any = self._row[_ANY:_HARD]
        self._hard = self._row[_HARD:]
        if self._path is not None:
            guard(self._path, self)

    def pages_lost(self) -> None:
        """The file was cut short, or its disk fails: what is read may be zeros, so nothing holds for anybody."""
        self._torn = True
        with suppress(ValueError):  # it is closed
            self._row[_ID] = 0

    def _begin(self, name: int) -> None:
        self._row[_SEQUENCE] = self._row[_LATEST] = self._row[_BARRIER] = 1
        self._row[0] = _MAGIC
        self._row[_ID] = name

    @property
    def id(self) -> int:
        """What names the board; another process of this host may have changed it."""
        return self._row[_ID]

    @property
    def sequence(self) -> int:
        """The number that entries are marked with now."""
        return self._row[_SEQUENCE]

    @property
    def latest(self) -> int:
        """The number of the last purge; later than `sequence` if other hosts have not heard of it."""
        return self._row[_LATEST]

    @property
    def barrier(self) -> int:
        """What all who may share a call have in common: it changes with each purge that was not quiet."""
        return self._row[_ID] + self._row[_BARRIER]

    def now(self) -> Mark:
        """Return the mark of an answer whose request is sent after this call."""
        # A board without an id is one that is left, and nothing of it will hold.
        return Mark(self._row[_ID] or new_id(), self._row[_SEQUENCE])

    def judge(self, mark: Mark, slots: Iterable[int]) -> Verdict:
        """Say whether an entry of that mark and those tags may be used."""
        board, sequence = mark
        row = self._row
        # The id is read after the numbers, here and below: it is the first to go when the board is begun anew.
        latest = row[_LATEST]
        if row[_ID] != board:
            return Verdict.PURGED
        if latest <= sequence:
            return Verdict.GOOD
        cells = self._any
        suspects = [slot for slot in slots if cells[slot & _LAST] > sequence]
        verdict = self._examine(sequence, suspects) if suspects else Verdict.GOOD
        return verdict if row[_ID] == board else Verdict.PURGED

    def _examine(self, sequence: int, slots: list[int]) -> Verdict:
        verdict = Verdict.GOOD
        for slot in slots:
            first, second = cells_of(slot)
            if self._any[second] > sequence:
                if self._highest(first, second) > self._row[_LATEST]:
                    return self._doubt(first, second)
                if self._hard[first] > sequence and self._hard[second] > sequence:
                    return Verdict.PURGED
                verdict = Verdict.SOFT
        return verdict

    def purge(
        self,
        slots: Iterable[int],
        *,
        soft: bool = False,
        sequence: int | None = None,
        alone: bool = False,
        quiet: bool = False,
    ) -> int:
        """Purge whatever has one of these tags; return the purge's number.

        Args:
            slots: the tags.
            soft: leave it stale instead of gone.
            sequence: the number that the hosts agreed on; entries marked earlier than it are purged.
            alone: other hosts, which give numbers too, do not know of it. What is marked before they do is purged.
            quiet: calls that are in the air may still be joined.
        """
        cells = {cell for slot in slots for cell in cells_of(slot)}
        with self._alone():
            row = self._row
            number = row[_LATEST] + (_AHEAD if alone else 1) if sequence is None else sequence
            for cell in cells:
                self._any[cell] = max(number, self._any[cell])
                if not soft:
                    self._hard[cell] = max(number, self._hard[cell])
            # Written last: whoever sees the number sees what it purged.
            row[_LATEST] = max(number, row[_LATEST])
            if not quiet:
                row[_BARRIER] = max(number, row[_BARRIER])
            if not alone:
                row[_SEQUENCE] = max(number, row[_SEQUENCE])
        return number

    def learn(self, cells: Iterable[Cell], sequence: int) -> None:
        """Take over what stands in the cells of the board that the hosts share, as it was at that number."""
        with self._alone():
            for place, latest, hard in cells:
                self._any[place] = max(latest, self._any[place])
                self._hard[place] = max(hard, self._hard[place])
                self._row[_LATEST] = max(latest, self._row[_LATEST])
            self._row[_LATEST] = max(sequence, self._row[_LATEST])
            self._row[_BARRIER] = max(self._row[_LATEST], self._row[_BARRIER])
            self._row[_SEQUENCE] = max(sequence, self._row[_SEQUENCE])

    def adopt(self, name: int) -> None:
        """Take over the id that several hosts share; what stands here is forgotten if it was another's."""
        with self._alone():
            if self._row[_ID] != name:
                self._forget(name, touched=self._row[_LATEST] > 1)

    def _forget(self, name: int, *, touched: bool = True) -> None:
        self._row[_ID] = 0
        if touched:
            self._map[_HEAD:] = bytes(_SIZE - _HEAD)
        self._begin(name)

    def heal(self) -> bool:
        """See to it that the file is the one that others find, and sound; say whether it had to be left or begun anew.

        Nothing that was stored before that holds then.

        Raises:
            OSError: there is no making it; nothing holds until a later call succeeds.
        """
        if self._path is None:
            return False
        stands = _stands(self._path, self._claim)
        if stands and not self._torn and _sound(self._claim, self._row):
            begun, self._begun_anew = self._begun_anew, False
            return begun
        if not stands:
            self._row[_ID] = 0  # for all who still have it
        claim = _open(self._path)
        self.close()
        self._look(claim)
        with self._alone():
            if not _sound(self._claim, self._row):
                self._forget(new_id())
        return True

    def _highest(self, first: int, second: int) -> int:
        return max(self._any[first], self._any[second], self._hard[first], self._hard[second])

    def _doubt(self, first: int, second: int) -> Verdict:
        """Begin anew if these cells hold a number that nobody has given, and say that nothing is sure meanwhile."""
        with self._alone():
            if self._highest(first, second) > self._row[_LATEST]:
                self._forget(new_id())
                self._begun_anew = True
        return Verdict.PURGED

    def close(self) -> None:
        """Let go; the last process to do so writes a file out, so that it outlives the host's next start."""
        for view in (self._any, self._hard, self._row):
            view.release()
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


def new_id() -> int:
    """Return a name for a board that no other has."""
    return secrets.randbits(62) | 1


_thread = Lock()


def _open(path: Path) -> int:
    """Return the file, held as one of its users; its first user begins anew what a crash may have cut short."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if _try_alone(file):
            head = os.pread(file, 4096, 0)
            run = head[_BOOT : _BOOT + 64].rstrip(b"\0")
            if not (
                head[:8] == _MAGIC.to_bytes(8, "little")
                and run in (_boot(), _CLOSED)
                and os.fstat(file).st_size == _SIZE
            ):
                os.ftruncate(file, 0)
                _reserve(file)
                os.pwrite(file, struct.pack("<QQQQ", _MAGIC, new_id(), 1, 1), 0)
            os.pwrite(file, _boot().ljust(64, b"\0"), _BOOT)
            fcntl.flock(file, fcntl.LOCK_SH)
        else:
            # Waits while the first user makes it ready, or the last one leaves.
            fcntl.flock(file, fcntl.LOCK_SH)
            if os.fstat(file).st_size != _SIZE:
                os.pwrite(file, bytes(_BOOT), 0)  # no id: what was cut off cannot be known
                _reserve(file)
            os.pwrite(file, _boot().ljust(64, b"\0"), _BOOT)
    except BaseException:
        os.close(file)
        raise
    return file


def _stands(path: Path, file: int) -> bool:
    """Whether an open file is the one at a path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False


def _reserve(file: int) -> None:
    """Take the file's room now: a hole that is filled later ends the process where the disk is full."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, _SIZE)
    else:
        os.pwrite(file, bytes(_SIZE), 0)


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


def _sound(file: int, row: memoryview[int]) -> bool:
    return (
        os.fstat(file).st_size == _SIZE
        and row[0] == _MAGIC
        and row[_ID] != 0
        and 0 < row[_SEQUENCE] <= row[_LATEST] < _ENDLESS
    )
