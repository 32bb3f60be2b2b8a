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
    return any(each.ended is None for each in attempts)


class Waiting(Generic[T]):
    """Holds what is known of calls until all their attempts have ended; bounded."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._held: dict[Exchange, T] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, exchange: Exchange, known: T) -> tuple[Exchange, T] | None:
        """Hold a call; return the oldest one if there is no room for both."""
        self._held[exchange] = known
        if len(self._held) <= self._most:
            return None
        oldest = next(iter(self._held))
        return oldest, self._held.pop(oldest)

    def done(self, exchange: Exchange) -> T | None:
        """Return what is held of a call if its last attempt has ended, and let go of it."""
        if exchange not in self._held or is_open(exchange.attempts):
            return None
        return self._held.pop(exchange)

    def rest(self) -> list[tuple[Exchange, T]]:
        """Let go of all."""
        held, self._held = self._held, {}
        return list(held.items())
