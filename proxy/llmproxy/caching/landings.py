"""When answers were last kept: whether looking into the store once more can find one."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from llmproxy.runtime import Clock

_STAMPS: Final = 8192

#: Bytes of the memory that workers share.
SIZE: Final = 8 * _STAMPS


def place_of(name: str, key: bytes) -> int:
    """Return the 62 bits that stand for a key of the flights called `name`."""
    digest = blake2b(b"%b\0%b" % (name.encode(), key), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 2


class Landings:
    """When an answer was last kept, by place: whoever asked after that has seen it in the store."""

    __slots__ = ("_now", "_stamps")

    def __init__(
        self, memory: mmap.mmap | bytearray | None = None, now: Callable[[], float] = Clock.now
    ) -> None:
        self._stamps = memoryview(memory or bytearray(SIZE)).cast("d")
        self._now = now

    def stamp(self, place: int) -> None:
        """Say that an answer is in the store now."""
        self._stamps[place % _STAMPS] = self._now()

    def since(self, place: int, moment: float) -> bool:
        """Whether an answer may have been kept at `moment` (seconds on the gateway's clock) or later."""
        return self._stamps[place % _STAMPS] >= moment
