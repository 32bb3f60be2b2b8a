"""Whether a store elsewhere is there: asked in the background once a call failed, and by nobody else while away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from llmproxy.stores.breaker import Breaker
from llmproxy.stores.interface import StoreAway
from llmproxy.tasks import spawn

#: Seconds between the first failed question and the next; each pause is twice as long as the one before.
_SHORTEST: Final = 0.05


class Vigil(Breaker):
    """A breaker that opens at once, and closes when `ask` returns; it fails with `StoreAway`.

    A call that fails makes it ask. Until that is answered nobody else calls, unless the store has answered somebody
    within the last `patience` s: then it was the call, or its connection. So no call waits to find out whether the
    store is back. Pauses between questions grow up to `longest` s.
    """

    def __init__(self, ask: Callable[[], Awaitable[object]], patience: float, longest: float) -> None:
        super().__init__(1, longest)
        self._ask = ask
        self._patience = patience
        self._answered = -inf
        self._watching: asyncio.Task[None] | None = None
        self.away = False

    def admits(self) -> bool:
        """Say whether a call may be made now."""
        return not self.away

    def succeeded(self) -> None:
        """The store answered; once it is away only the background's word counts."""
        self._answered = self._clock()

    def failed(self) -> None:
        """The store did not answer: ask it."""
        if self._clock() - self._answered > self._patience:
            self.away = True
        if self._watching is None or self._watching.done():
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
            self.away = True
            # Not all workers at the same time.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
            pause = min(2 * pause, max(self._retry_after, _SHORTEST))
        self.away = False
        self._answered = self._clock()

    async def _is_there(self) -> bool:
        try:
            await self._ask()
        except StoreAway:
            return False
        return True
