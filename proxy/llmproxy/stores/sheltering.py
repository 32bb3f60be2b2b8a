"""What goes on while the store of limits is away: hard limits are closed, soft ones have a share in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from llmproxy.stores.interface import StoreAway
from llmproxy.stores.memory_reserving import MemoryReservations
from llmproxy.stores.reserving import (
    Claim,
    Lease,
    Limit,
    Rate,
    Reservations,
    Verdict,
    Window,
)
from llmproxy.stores.shelf import now_us

#: What becomes of a claim whose store is away: it is refused because of a hard limit, or has the share.
Shelter = Literal["closed", "share"]


class Sheltered:
    """Limits of a store, and of this process for claims without a hard one that the store did not take.

    `told` is called for each claim that the store was away for.
    """

    def __init__(
        self,
        kept: Reservations,
        share: int,
        told: Callable[[Shelter], None],
        clock: Callable[[], int] = now_us,
    ) -> None:
        self.kept = kept
        self._share = share
        self._told = told
        self._near = MemoryReservations("a share of limits", clock=clock)

    @property
    def sheltered(self) -> bool:
        """Whether a claim that was taken here may not be settled."""
        return self._near.holding

    async def reserve(self, claim: Claim) -> Verdict:
        """Take a claim of the store, or of the share.

        Raises:
            StoreAway: the store is away, and a hard limit is among those that are claimed.
        """
        try:
            return await self.kept.reserve(claim)
        except StoreAway:
            if any(want.mode == "hard" for want in claim.wants):
                self._told("closed")
                raise
            self._told("share")
            return await self._near.reserve(self._shared(claim))

    async def settle(self, claim: Claim, actual: Sequence[int]) -> bool:
        """Settle where it was taken."""
        if self.sheltered and self._near.settle_nowait(claim, actual):
            return True
        return await self.kept.settle(claim, actual)

    async def renew(self, claims: Sequence[Claim]) -> int:
        """Renew where they were taken."""
        there = await self._near.renew(claims) if self.sheltered else 0
        return there + await self.kept.renew(claims)

    def _shared(self, claim: Claim) -> Claim:
        wants = [want._replace(limit=self._part(want.limit)) for want in claim.wants]
        return claim._replace(wants=tuple(wants))

    def _part(self, limit: Limit) -> Limit:
        least = 1 if limit.limit else 0
        part = max(least, limit.limit // self._share)
        if isinstance(limit, Rate):
            return limit._replace(limit=part, burst=max(1, limit.burst // self._share))
        if isinstance(limit, Window):
            return limit._replace(limit=part)
        return Lease(limit.key, part)
