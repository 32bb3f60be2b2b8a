"""Calls that have ended for their callers while an attempt of theirs goes on.

Who leaves a shared stream leaves the attempt to those who stay, and a cache may read an answer to its end. What such an
attempt has used is known when it ends: until then the call waits here.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from llmproxy.plugin import Attempt, Exchange

T = TypeVar("T")

#: Calls that wait at most; when there are more, the first goes as it is.
MOST: Final = 4096


def is_open(attempts: list[Attempt]) -> bool:
    """Whether an attempt goes on."""
    for each in attempts:  # noqa: SIM110  # a generator costs more than all that is asked
        if each.ended is None:
            return True
    return False


class Waiting(Generic[T]):
    """Holds what is known of calls until all their attempts have ended: `most` calls, and `room` bytes of them."""

    def __init__(self, room: int, most: int = MOST) -> None:
        self._room = room
        self._most = most
        self._size = 0
        self._held: dict[Exchange, tuple[T, int]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, exchange: Exchange, known: T, size: int = 0) -> list[tuple[Exchange, T]]:
        """Hold a call; return the oldest ones where there is no room for all."""
        self._held[exchange] = known, size
        self._size += size
        gone = []
        while len(self._held) > self._most or (self._size > self._room and len(self._held) > 1):
            oldest = next(iter(self._held))
            gone.append((oldest, self._take(oldest)))
        return gone

    def done(self, exchange: Exchange) -> T | None:
        """Return what is held of a call if its last attempt has ended, and let go of it."""
        if exchange not in self._held or is_open(exchange.attempts):
            return None
        return self._take(exchange)

    def rest(self) -> list[tuple[Exchange, T]]:
        """Let go of all."""
        return [(exchange, self._take(exchange)) for exchange in list(self._held)]

    def _take(self, exchange: Exchange) -> T:
        known, size = self._held.pop(exchange)
        self._size -= size
        return known
