"""What a worker is about to ask of a store elsewhere, for whoever finds it dead.

Theory of operation. A worker that is killed between a far store's answer and its call leaves a claim that nobody used,
and nobody could tell it from one whose call was made: both would stay taken. So before the store is asked a note says
what the claim comes to if nothing more is heard of it: nothing, until its call may leave, and later what the call came
to. Notes stand in a file that is mapped, which costs no call of the system and outlives its process; a lock that the
system takes from the dead says whose files are left. Workers of one host share the directory; where there is one
worker, nobody would be there to read.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from struct import Struct
from typing import Any, Final

import msgspec

from llmproxy.plugin import reserving

#: Bytes of a note, and how many a worker has at a time; more, and larger ones, are not noted.
_CELL: Final = 1024
_CELLS: Final = 1024
_LENGTH: Final = Struct("<H")
_NONE: Final = b"\0\0"
_SUFFIX: Final = ".notes"

_KINDS: Final[dict[int, Any]] = {
    reserving.RATE: reserving.Rate,
    reserving.WINDOW: reserving.Window,
    reserving.LEASE: reserving.Lease,
}

#: A claim, and what each of its wants came to.
Came = tuple[reserving.Claim, Sequence[int]]

#: What is no note.
NOWHERE: Final = -1


class Notes:
    """One worker's notes; `instance` is the plugin's name, which its notes are kept apart by."""

    def __init__(self, directory: Path, instance: str) -> None:
        """Begin an empty file.

        Raises:
            OSError: there is no room for it.
        """
        self._path = directory / f"{_prefix(instance)}{os.getpid()}-{token_hex(4)}{_SUFFIX}"
        # The name counts once the lock is held: nobody may find the file before.
        hidden = self._path.with_suffix(".new")
        self._file = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            os.posix_fallocate(self._file, 0, _CELL * _CELLS)
            self._memory = mmap.mmap(self._file, _CELL * _CELLS)
            hidden.rename(self._path)
        except OSError:
            hidden.unlink(missing_ok=True)
            os.close(self._file)
            raise
        self._free = list(range(_CELLS))
        self._encode = msgspec.msgpack.Encoder().encode

    def put(self, claim: reserving.Claim, came: Sequence[int]) -> int:
        """Note what a claim comes to if its worker dies now; return the note's number, or `NOWHERE`."""
        data = self._encode((claim, came))
        if self._memory.closed or not self._free or len(data) > _CELL - _LENGTH.size:
            return NOWHERE
        number = self._free.pop()
        at = number * _CELL
        memory = self._memory
        memory[at + 2 : at + 2 + len(data)] = data
        # The length comes last: who dies before has noted nothing.
        memory[at : at + 2] = _LENGTH.pack(len(data))
        return number

    def drop(self, number: int) -> None:
        """Forget a note."""
        if number != NOWHERE and not self._memory.closed:
            at = number * _CELL
            self._memory[at : at + 2] = _NONE
            self._free.append(number)

    def close(self, *, told: bool) -> None:
        """End; what was not `told` to the store is left to others."""
        if told:
            self._path.unlink(missing_ok=True)
        self._memory.close()
        os.close(self._file)


def left_behind(directory: Path, instance: str) -> Iterator[Came]:
    """Yield what dead workers noted and nobody took over before; each file is gone once it was read."""
    prefix = _prefix(instance)
    for path in directory.iterdir():
        if path.suffix == _SUFFIX and path.name.startswith(prefix):
            yield from _taken_over(path)


def _prefix(instance: str) -> str:
    return f"{instance.encode().hex()}-"


def _taken_over(path: Path) -> Iterator[Came]:
    with suppress(OSError):  # somebody else was first
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            data = os.pread(file, _CELL * _CELLS, 0)
            path.unlink()
        finally:
            os.close(file)
        for at in range(0, len(data), _CELL):
            (length,) = _LENGTH.unpack_from(data, at)
            if length and (noted := _decoded(data[at + 2 : at + 2 + length])) is not None:
                yield noted


def _decoded(data: bytes) -> Came | None:
    with suppress(msgspec.MsgspecError, KeyError, TypeError, ValueError):
        (name, tag, wants, ttl, keeps), came = msgspec.msgpack.decode(data)
        read = tuple(reserving.Want(_limit(limit), amount, mode) for limit, amount, mode in wants)
        return reserving.Claim(name, tag, read, ttl, keeps), came
    return None


def _limit(fields: list[Any]) -> reserving.Limit:
    return _KINDS[fields[-1]](*fields)  # type: ignore[no-any-return]  # one of the kinds
