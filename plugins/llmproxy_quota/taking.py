"""Takes what calls need of their limits, and gives back what they did not use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from secrets import token_hex
from typing import Final

from llmproxy.plugin import (
    GatewayError,
    Metrics,
    Reservation,
    Runtime,
    StoreAway,
    Taken,
    UpstreamRequest,
    reserving,
)
from llmproxy_quota import fields
from llmproxy_quota.book import Rule
from llmproxy_quota.settling import Settlements

#: Claims that are renewed at once.
_RENEWED: Final = 200


class Hold:
    """What one claim took, by its rules; settled once. `request` is what it was taken for: one attempt's, or none."""

    __slots__ = ("claim", "request", "rules", "standings")

    def __init__(
        self, claim: reserving.Claim, rules: Sequence[Rule], standings: Sequence[reserving.Standing]
    ) -> None:
        self.claim = claim
        self.rules = rules
        self.standings = standings
        self.request: UpstreamRequest | None = None

    @property
    def sent(self) -> bool:
        """Whether any of the request may have left: what did not cannot have been used."""
        return self.request is not None and self.request.sent

    @property
    def told(self) -> list[tuple[Rule, reserving.Standing]]:
        """Each rule with how it stands."""
        return list(zip(self.rules, self.standings, strict=True))

    def reservation(self, ends: float, bound: tuple[int, int]) -> Reservation:
        """Return it as other plugins see it; `bound` is of its tokens."""
        taken = [
            Taken(
                rule.scope,
                rule.config.counts,
                rule.config.name,
                rule.config.window or "",
                want.amount,
                rule.config.mode != "hard",
            )
            for rule, want in zip(self.rules, self.claim.wants, strict=True)
        ]
        return Reservation(self.claim.id.decode(), tuple(taken), ends, *bound)


class Taker:
    """One worker's claims: taken, kept alive while their calls last, settled."""

    def __init__(self, kept: reserving.Reservations, share: int, lease: float, runtime: Runtime) -> None:
        self._meters = Meters(runtime.metrics)
        self._ahead = reserving.in_advance(kept)
        kept = self._ahead or kept
        self._kept = reserving.sheltered(kept, share, self._meters.away)
        self._settlements = Settlements(self._kept, lease, runtime)
        self._now = kept.settle_nowait if isinstance(kept, reserving.LocalReservations) else None
        self._lease = lease
        self._ttl = int(lease * reserving.SECOND)
        self._runtime = runtime
        #: What its claims are called is nobody's choice: who could repeat a name would take nothing the second time.
        self._mark = token_hex(8).encode()
        self._count = count(1)
        self._live: dict[bytes, reserving.Claim] = {}

    async def take(self, tag: bytes, rules: Sequence[Rule], wants: tuple[reserving.Want, ...]) -> Hold:
        """Take of all limits, or raise what the caller is told.

        Raises:
            GatewayError: something does not fit (429, 402), or the limits cannot be read (503).
        """
        claim = reserving.Claim(b"%b-%x" % (self._mark, next(self._count)), tag, wants, self._ttl)
        try:
            verdict = await self._kept.reserve(claim)
        except StoreAway as fault:
            message = "The gateway cannot count this request against its limits now."
            raise GatewayError(503, "limits_unavailable", message, retry_after=1.0) from fault
        hold = Hold(claim, rules, verdict.standings)
        if not verdict.granted:
            self._meters.count(hold, "refused")
            raise self._refusal(hold)
        for standing in verdict.standings:
            if not standing.ok:
                self._meters.count(hold, "over")
                break
        if claim.lasting:
            self._live[claim.id] = claim
        return hold

    def count_saved(self, limit: str) -> None:
        """Count a call that went to a cheaper model."""
        self._meters.saved(limit)

    async def look(self, tag: bytes, rules: Sequence[Rule]) -> Sequence[reserving.Standing]:
        """Return how limits stand, or nothing where their store does not tell."""
        wants = tuple(reserving.Want(rule.limit, 0, "shadow") for rule in rules)
        claim = reserving.Claim(b"%b-%x" % (self._mark, next(self._count)), tag, wants, self._ttl)
        try:
            verdict = await self._kept.reserve(claim)
        except StoreAway:
            return ()
        self._settlements.add(claim, [0] * len(wants))
        return verdict.standings

    def settle(self, hold: Hold, actual: Sequence[int]) -> None:
        """Set what a claim came to; here if the engine is at hand, else soon."""
        claim = hold.claim
        if self._live.pop(claim.id, None) is None:
            return
        for came, want in zip(actual, claim.wants, strict=True):
            if came > want.amount:
                self._meters.count(hold, "beyond")
                break
        if self._now is not None and not self._kept.sheltered:
            try:
                if not self._now(claim, actual):
                    self._settlements.lost.inc()
            except StoreAway:
                pass
            else:
                return
        self._settlements.add(claim, actual)

    async def close(self) -> None:
        """Let the store hear what it can still be told."""
        await self._settlements.close()
        if self._ahead is not None:
            self._ahead.close()

    async def keep_alive(self) -> None:
        """Renew what is held, for as long as this runs."""
        while True:
            await self._runtime.clock.sleep(self._lease / 3)
            held = list(self._live.values())
            for at in range(0, len(held), _RENEWED):
                await self._renew(held[at : at + _RENEWED])

    async def _renew(self, claims: Sequence[reserving.Claim]) -> None:
        try:
            await self._kept.renew(claims)
        except StoreAway:
            self._meters.away("renewal")
        await asyncio.sleep(0)  # others may run: an engine at hand waits for nothing

    def _refusal(self, hold: Hold) -> GatewayError:
        error = fields.refusal(hold.told)
        error.headers = tuple(fields.rate_limit(hold.told))
        return error


class Meters:
    """What operators see of limits, by their names."""

    def __init__(self, metrics: Metrics) -> None:
        self._limits = metrics.counter(
            "llmproxy_quota_limits_total",
            "Calls that a limit refused or sent to a cheaper model, that went over it, or used more than was reserved.",
            ("limit", "result"),
        )
        self._away = metrics.counter(
            "llmproxy_quota_store_away_total",
            "What the store of limits was away for: refused calls (closed), calls on a share, renewals.",
            ("result",),
        )

    def away(self, what: str) -> None:
        """Count what the store was away for."""
        self._away.labels(what).inc()

    def saved(self, limit: str) -> None:
        """Count a call that went to a cheaper model for a limit's sake."""
        self._limits.labels(limit, "near").inc()

    def count(self, hold: Hold, result: str) -> None:
        """Count what a limit did."""
        for rule, standing in hold.told:
            if result == "beyond" or not standing.ok:
                self._limits.labels(rule.config.name, result).inc()
