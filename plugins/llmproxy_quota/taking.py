"""Takes what calls need of their limits, and gives back what they did not use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from operator import gt
from secrets import token_hex
from typing import Final

from llmproxy.plugin import (
    GatewayError,
    Reservation,
    Runtime,
    StoreAway,
    UpstreamRequest,
    reserving,
)
from llmproxy_quota import fields
from llmproxy_quota.book import Rule
from llmproxy_quota.notes import NOWHERE, Notes, left_behind
from llmproxy_quota.portions import Portion
from llmproxy_quota.settling import Settlements

#: Claims that are renewed at once.
_RENEWED: Final = 200
#: Seconds between two lines of the log on a store that is away.
_QUIET: Final = 60.0
#: Seconds after which a store has taken a claim back whose caller did not wait for it.
_MOMENT: Final = 1.0


class Hold:
    """What one claim took, by its rules; settled once. `request` is what it was taken for: one attempt's, or none.

    What was taken in advance has a slice that it is of, all else the claim.
    """

    # What most never have stands on the class.
    claim: reserving.Claim | None = None
    slice: reserving.Slice | None = None
    #: How the limits stood; nothing for what was at hand.
    standings: Sequence[reserving.Standing] = ()
    #: What callers are told of that, if anything is.
    said: bytes | None = None
    request: UpstreamRequest | None = None
    #: What says that nothing of it was used, until its call may leave.
    note: int = NOWHERE

    def __init__(self, portion: Portion) -> None:
        self.portion = portion

    @property
    def told(self) -> list[tuple[Rule, reserving.Standing]]:
        """Each rule with how it stands."""
        return list(zip(self.portion.rules, self.standings, strict=True))

    def reservation(self, ends: float, bound: tuple[int, int], name: str = "") -> Reservation:
        """Return it as other plugins see it, under a name; `bound` is of its tokens."""
        return Reservation(name, self.portion.taken, ends, *bound, self.portion.money)


class Taker:
    """One worker's claims: taken, kept alive while their calls last, settled."""

    def __init__(self, kept: reserving.Reservations, share: int, lease: float, runtime: Runtime) -> None:
        self._meters = Meters(runtime)
        self._ahead = reserving.in_advance(kept)
        kept = self._ahead or kept
        self._kept = reserving.sheltered(kept, share, self._meters.away)
        #: None where the store is at hand: then nothing can come between its answer and the call.
        self._notes = None if isinstance(kept, reserving.LocalReservations) else _notes_of(runtime)
        self._settlements = Settlements(self._kept, lease, runtime, self._notes)
        self._now = kept.settle_nowait if isinstance(kept, reserving.LocalReservations) else None
        self._lease = lease
        self._ttl = int(lease * reserving.SECOND)
        self._runtime = runtime
        #: What its claims are called is nobody's choice: who could repeat a name would take nothing the second time.
        self._mark = token_hex(8).encode()
        self._count = count(1)
        self._live: dict[bytes, reserving.Claim] = {}

    def at_hand(self, portion: Portion) -> Hold | None:
        """Take of what was taken in advance, here and now; None where that has to be asked for."""
        kind = portion.ahead
        if kind is None or kind.slice is None:
            return None
        of = self._ahead.take_at_hand(kind, portion.amounts)  # type: ignore[union-attr]  # there are no kinds without
        if of is None:
            return None
        hold = Hold(portion)
        if portion.lasting:
            hold.slice = of
        if (heading := portion.heading) is not None:
            if of.said is None:
                of.said = heading.template(of.waits)
            hold.said = of.said % tuple(of.lefts)
        return hold

    async def take(self, portion: Portion, *, noted: bool = True) -> Hold:
        """Take of all limits, or raise what the caller is told.

        It is `noted` where the ledger cannot have heard of the call yet.

        Raises:
            GatewayError: something does not fit (429, 402), or the limits cannot be read (503).
        """
        at_hand = self.at_hand(portion)
        if at_hand is not None:
            return at_hand
        claim = reserving.Claim(
            b"%b-%x" % (self._mark, next(self._count)), portion.tag, portion.wants, self._ttl
        )
        hold = await self._take_of_store(claim, portion, noted=noted)
        if self._ahead is not None:
            portion.ahead = self._ahead.kind(portion.kind)
        if portion.heading is not None:
            hold.said = portion.heading.state(hold.standings)
        if portion.lasting:
            self._live[claim.id] = claim
        return hold

    async def _take_of_store(self, claim: reserving.Claim, portion: Portion, *, noted: bool) -> Hold:
        notes = self._notes if noted else None
        note = NOWHERE if notes is None else notes.put(claim, [0] * len(portion.wants))
        try:
            verdict = await self._kept.reserve(claim)
        except StoreAway as fault:
            self._drop_later(note)
            message = "The gateway cannot count this request against its limits now."
            raise GatewayError(503, "limits_unavailable", message, retry_after=1.0) from fault
        except BaseException:
            self._drop_later(note)
            raise
        hold = Hold(portion)
        hold.claim, hold.standings, hold.note = claim, verdict.standings, note
        if not verdict.granted:
            self.leaves(hold)
            self._meters.count(hold, "refused")
            raise self._refusal(hold)
        if not all(standing.ok for standing in verdict.standings):
            self._meters.count(hold, "over")
        return hold

    def leaves(self, hold: Hold) -> None:
        """Hear that a call may leave from now on: what was taken for it may be used."""
        if hold.note != NOWHERE and self._notes is not None:
            self._notes.drop(hold.note)
            hold.note = NOWHERE

    def take_over(self) -> None:
        """Tell the store what dead workers of this host could not."""
        directory = self._runtime.bus.directory
        if self._notes is not None and directory is not None:
            for claim, came in left_behind(directory, self._runtime.name):
                self._settlements.add(claim, came, taken=False)

    def _drop_later(self, note: int) -> None:
        """Drop the note of a claim that the store itself takes back: it needs a moment."""
        if note != NOWHERE and self._notes is not None:
            asyncio.get_running_loop().call_later(_MOMENT, self._notes.drop, note)

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
        amounts, of = hold.portion.amounts, hold.slice
        if actual is not amounts and any(map(gt, actual, amounts)) and self._is_open(hold):
            self._meters.count_beyond(hold)
        if of is not None:
            hold.slice = None
            if not self._ahead.settle_slice(of, amounts, actual):  # type: ignore[union-attr]  # it made it
                self._settlements.lost.inc()
            return
        claim = hold.claim
        if hold.note != NOWHERE:
            self.leaves(hold)
        if claim is None or self._live.pop(claim.id, None) is None:
            return
        if self._now is not None and not self._kept.sheltered:
            try:
                if not self._now(claim, actual):
                    self._settlements.lost.inc()
            except StoreAway:
                pass
            else:
                return
        self._settlements.add(claim, actual)

    def _is_open(self, hold: Hold) -> bool:
        """Whether a claim is not settled yet."""
        return hold.slice is not None or (hold.claim is not None and hold.claim.id in self._live)

    async def close(self) -> None:
        """Let the store hear what it can still be told."""
        told = await self._settlements.close()
        if self._notes is not None:
            self._notes.close(told=told)
        if self._ahead is not None:
            self._ahead.close()

    async def keep_alive(self) -> None:
        """Renew what is held, for as long as this runs."""
        while True:
            await self._runtime.clock.sleep(self._lease / 3)
            held = list(self._live.values())
            for at in range(
                0, max(len(held), 1), _RENEWED
            ):  # what was taken in advance is renewed in any case
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


def _notes_of(runtime: Runtime) -> Notes | None:
    directory = runtime.bus.directory
    if directory is None:
        return None
    try:
        return Notes(directory, runtime.name)
    except OSError as fault:
        runtime.log.warning("quota_notes_unwritable", reason=fault.strerror)
        return None


class Meters:
    """What operators see of limits, by their names."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._quiet_until = 0.0
        metrics = runtime.metrics
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
        """Count what the store was away for; the log tells of it once a minute."""
        self._away.labels(what).inc()
        now = self._runtime.clock.now()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            self._runtime.log.error("quota_store_away", result=what)

    def saved(self, limit: str) -> None:
        """Count a call that went to a cheaper model for a limit's sake."""
        self._limits.labels(limit, "near").inc()

    def count(self, hold: Hold, result: str) -> None:
        """Count what a limit did."""
        for rule, standing in hold.told:
            if not standing.ok:
                self._limits.labels(rule.config.name, result).inc()

    def count_beyond(self, hold: Hold) -> None:
        """Count limits of which a call used more than it took of one of them."""
        for rule in hold.portion.rules:
            self._limits.labels(rule.config.name, "beyond").inc()
