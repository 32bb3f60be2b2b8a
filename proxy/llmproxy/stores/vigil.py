"""Whether a store elsewhere is there: from its first failure on it is asked in the background, and by nobody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from llmproxy.stores.breaker import Breaker
from llmproxy.stores.interface import StoreAway
from llmproxy.tasks import spawn

#: Seconds between the first failed question and the next; each pause is twice as long as the one before.
_SHORTEST: Final = 0.05


class Vigil(Breaker):
    """A breaker that opens at once, and closes when `ask` returns; it fails with `StoreAway`.

    No call waits to find out whether the store is back. Pauses grow up to `longest` s.
    """

    def __init__(self, ask: Callable[[], Awaitable[object]], longest: float) -> None:
        super().__init__(1, longest)
        self._ask = ask
        self._watching: asyncio.Task[None] | None = None
        self.away = False

    def admits(self) -> bool:
        """Say whether a call may be made now."""
        return not self.away

    def succeeded(self) -> None:
        """The store answered; while it is away only the background's word counts."""

    def failed(self) -> None:
        """The store did not answer: leave it alone, and watch for it."""
        if not self.away:
            self.away = True
            self._watching = spawn(self._watch(), name="vigil")

    def abandoned(self) -> None:
        """The caller left before it was known: nothing learnt."""

    async def close(self) -> None:
        """Watch no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        pause = _SHORTEST
        while not await self._is_there():
            # Not all workers at the same time.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
            pause = min(2 * pause, max(self._retry_after, _SHORTEST))
        self.away = False

    async def _is_there(self) -> bool:
        try:
            await self._ask()
        except StoreAway:
            return False
        return True
