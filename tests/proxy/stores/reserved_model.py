"""What limits come to, told slowly: from all that was ever taken, without rows, marks or sweeping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from llmproxy.stores.reserving import Claim, Limit, Rate, Window


@dataclass
class Held:
    claim: Claim
    at: int
    ends: int
    amounts: list[int]
    open: bool = True


@dataclass
class Model:
    helds: list[Held] = field(default_factory=list)

    def reserve(self, claim: Claim, now: int) -> bool:
        self.end(now)
        if claim.lasting and self.find(claim) is not None:
            return True
        fits = [
            self.used(w.limit, now) + self.size(w.limit, w.amount) <= self.room(w.limit) for w in claim.wants
        ]
        granted = all(fit or want.mode == "shadow" for fit, want in zip(fits, claim.wants, strict=True))
        if granted:
            self.helds.append(Held(claim, now, now + claim.ttl, [want.amount for want in claim.wants]))
        return granted

    def settle(self, claim: Claim, actual: Sequence[int], now: int) -> bool:
        self.end(now)
        held = self.find(claim)
        if held is None:
            return False
        held.amounts, held.open = list(actual), False
        return True

    def renew(self, claims: Sequence[Claim], now: int) -> int:
        self.end(now)
        found = [held for claim in claims if (held := self.find(claim)) is not None]
        for held in found:
            held.ends = max(held.ends, now + held.claim.ttl)
        return len(found)

    def find(self, claim: Claim) -> Held | None:
        return next(
            (held for held in self.helds if held.open and held.claim.lasting and held.claim.id == claim.id),
            None,
        )

    def end(self, now: int) -> None:
        for held in self.helds:
            if held.open and held.ends <= now:
                held.open = False
                if not held.claim.keeps:
                    held.amounts = [0] * len(held.amounts)

    def size(self, limit: Limit, amount: int) -> int:
        return amount * limit.period if isinstance(limit, Rate) else amount

    def room(self, limit: Limit) -> int:
        return limit.burst * limit.period if isinstance(limit, Rate) else limit.limit

    def used(self, limit: Limit, now: int) -> int:
        total, last = 0, 0
        for held in self.helds:
            for want, amount in zip(held.claim.wants, held.amounts, strict=True):
                if want.limit.key != limit.key:
                    continue
                if isinstance(limit, Rate):
                    total = max(0, total - (held.at - last) * limit.limit) + want.amount * limit.period
                    last = held.at
                elif isinstance(limit, Window):
                    total += amount * (bucket(limit, held.at) > bucket(limit, now) - limit.keep)
                else:
                    total += want.amount * held.open
        return max(0, total - (now - last) * limit.limit) if isinstance(limit, Rate) else total


def bucket(limit: Window, at: int) -> int:
    if limit.step:
        return (at - limit.anchor) // limit.step
    day = datetime.fromtimestamp(at // 1_000_000, UTC)
    return day.year * 12 + day.month
