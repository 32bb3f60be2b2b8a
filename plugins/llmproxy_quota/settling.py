"""What claims came to, on its way to a store: told again while it is away, for as long as what was taken may last."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from llmproxy.plugin import Runtime, StoreAway, reserving
from llmproxy_quota.notes import NOWHERE, Notes

#: Seconds before a store that is away is told again.
_PAUSES: Final = (0.05, 0.2, 0.5)
#: Settlements that wait at a time: there is one at most for each call that was in flight when the store went away.
_MOST: Final = 10_000
#: Seconds that those under way have when the gateway stops.
_LAST: Final = 1.0


class Settlements:
    """One worker's settlements; `lost` counts those that the store did not hear of in time.

    They are noted, where there are `notes`, until the store has heard: by then the call stands in the ledger.
    """

    def __init__(
        self, kept: reserving.Reservations, lease: float, runtime: Runtime, notes: Notes | None = None
    ) -> None:
        self._kept = kept
        self._notes = notes
        self._lease = lease
        self._runtime = runtime
        self._waiting: set[asyncio.Task[Any]] = set()
        self.lost: Any = runtime.metrics.counter(
            "llmproxy_quota_unsettled_total",
            "Reservations that ended at their ceiling: the store was away for longer than they last.",
        ).labels()

    def add(self, claim: reserving.Claim, actual: Sequence[int], *, taken: bool = True) -> None:
        """Settle soon; it is not known whether the store has it at all if it is not `taken`."""
        if len(self._waiting) >= _MOST:
            self.lost.inc()
            return
        # At once: a worker is as likely to die before the task begins as while the store is asked.
        note = NOWHERE if self._notes is None else self._notes.put(claim, actual)
        task = self._runtime.spawn(self._settle(claim, actual, note, taken=taken), name="settle")
        if task is not None:
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def close(self) -> bool:
        """Let those that are under way arrive, within a moment; return whether all have."""
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=_LAST)
        return not self._waiting

    async def _settle(self, claim: reserving.Claim, actual: Sequence[int], note: int, *, taken: bool) -> None:
        try:
            if not await self._told(claim, actual) and taken:
                self.lost.inc()
        finally:
            if self._notes is not None:
                self._notes.drop(note)

    async def _told(self, claim: reserving.Claim, actual: Sequence[int]) -> bool:
        """Tell the store, again and again while it is away; return whether it heard in time."""
        clock = self._runtime.clock
        ends, tries = clock.now() + self._lease, 0
        while True:
            try:
                found = await self._kept.settle(claim, actual)
            except StoreAway:
                # What is not renewed any more lasts no longer than that.
                if clock.now() > ends:
                    return False
                await clock.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
                tries += 1
            else:
                # Not found the first time: it has ended. Later it may be that the store heard, and was not heard.
                return found or (tries > 0 and clock.now() <= ends)
