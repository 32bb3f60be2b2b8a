"""Numbers of processes that outlive them: what each has used of what it took in advance, in a file that all have mapped.

A process writes its own numbers, which costs no call of the system. When it is killed its last numbers stand there,
for whoever ends what it held. A stamp says whose they are: a number under another stamp is nobody's.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from secrets import randbelow
from typing import Final

from llmproxy.stores.lostpages import guard

#: Numbers that one owner has.
MOST: Final = 7
_WIDTH: Final = MOST + 1
_SLOTS: Final = 4096
_SIZE: Final = _SLOTS * _WIDTH * 8
#: Slots that are looked at for a free one.
_TRIES: Final = 64
#: Microseconds after which a slot is free whoever has forgotten it.
_FORGOTTEN: Final = 7 * 86_400 * 1_000_000


class Tally:
    """One owner's numbers."""

    __slots__ = ("_place", "_stamp", "cells", "name")

    def __init__(self, cells: memoryview[int], slot: int, stamp: int) -> None:
        #: Everybody's numbers; its owner writes its own there, for as long as it is `held`.
        self.cells = cells
        self._place = slot * _WIDTH
        self._stamp = stamp
        #: Slot and stamp.
        self.name = (slot, stamp)

    @property
    def held(self) -> bool:
        """Whether the numbers are still its owner's."""
        return self.cells[self._place] == self._stamp

    def place(self, index: int) -> int:
        """Return where one of its numbers stands."""
        return self._place + 1 + index


class Tallies:
    """All numbers of a host's processes. Slots are taken and freed by one process at a time: in a transaction."""

    def __init__(self, path: Path) -> None:
        """Map the file, which is made if it is not there.

        Raises:
            OSError: it cannot be.
        """
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(file).st_size < _SIZE:
                os.posix_fallocate(
                    file, 0, _SIZE
                )  # a disk that is full is told here, not when a number is written
            self._cells = memoryview(mmap.mmap(file, _SIZE)).cast("Q")
        finally:
            os.close(file)
        self._lost = False
        guard(path, self)

    def pages_lost(self) -> None:
        """The file was cut short: nothing more is taken of it."""
        self._lost = True

    def take(self, now: int) -> Tally | None:
        """Take a slot, its numbers zero; None where none is free."""
        if self._lost:
            return None
        first = randbelow(_SLOTS)
        for slot in range(first, first + _TRIES):
            place = slot % _SLOTS * _WIDTH
            stamp = self._cells[place]
            if not stamp or not -_FORGOTTEN < now - stamp < _FORGOTTEN:
                for index in range(1, _WIDTH):
                    self._cells[place + index] = 0
                self._cells[place] = now
                return Tally(self._cells, slot % _SLOTS, now)
        return None

    def read(self, slot: int, stamp: int) -> Sequence[int] | None:
        """Return an owner's numbers; None where they are not there any more."""
        place = slot * _WIDTH
        if not 0 <= slot < _SLOTS or self._cells[place] != stamp:
            return None
        return self._cells[place + 1 : place + _WIDTH].tolist()

    def free(self, slot: int, stamp: int) -> None:
        """Give a slot back."""
        if 0 <= slot < _SLOTS and self._cells[slot * _WIDTH] == stamp:
            self._cells[slot * _WIDTH] = 0
