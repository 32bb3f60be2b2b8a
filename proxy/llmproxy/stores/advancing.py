"""Claims that are taken of what this process took in advance: no transaction for most of them, and never over a limit.

Where claims of one kind come fast and their limits are far from their ends, what the next ones need is taken at once
(advances.py) and handed out from memory. Near a limit, and for claims that come rarely, each is taken of the store by
itself. What was taken in advance and is not used goes back within `_LIFE`; until then a limit may look fuller to other
processes than it is, by a part in sixty-four for each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol, runtime_checkable

from llmproxy.stores.advances import LEAST, Advance, can_be_advanced
from llmproxy.stores.interface import StoreAway
from llmproxy.stores.reserving import (
    RATE,
    WINDOW,
    Claim,
    LocalReservations,
    Standing,
    Verdict,
    Want,
    kind_of,
)

#: Microseconds in which an advance is handed out, and in which what is left of it is given back at the latest.
_LIFE: Final = 50_000
_LATEST: Final = 75_000
#: Claims in that time from which on an advance is worth its transactions.
_MANY: Final = 2 * LEAST
#: Kinds of claims that are known at a time.
_KNOWN: Final = 10_000

#: As `Standing` makes one, without a call of Python's.
_standing: Final[Callable[[tuple[bool, int, int]], Standing]] = partial(tuple.__new__, Standing)

Later = Callable[[float, Callable[[], None]], object]


@runtime_checkable
class Advanceable(LocalReservations, Protocol):
    """Limits of which a process may take in advance."""

    clock: Callable[[], int]

    def advance(self, claim: Claim, times: int, life: int) -> Advance | None:
        """Take what so many claims need; None where that is not to be had."""

    def trim(self, advance: Advance, used: Sequence[int], *, last: bool) -> bool:
        """Give back what nobody used; hold the rest, or nothing more at the last."""


class Slice:
    """What is left of an advance; what is not left is out (leases) or was taken and not given back (all else)."""

    __slots__ = (
        "_cells",
        "_numbers",
        "_owner",
        "_tallied",
        "_told",
        "advance",
        "claims",
        "is_open",
        "lasting",
        "left",
        "since",
        "taken",
        "tally",
        "until",
    )

    def __init__(self, advance: Advance) -> None:
        wants = advance.claim.wants
        self.advance = advance
        self.since, self.until = advance.since, advance.until
        self.lasting = advance.claim.lasting
        self.left = [want.amount for want in wants]
        #: Claims that were taken of it, and those that are not settled.
        self.taken = self.claims = 0
        #: Whether more is handed out.
        self.is_open = True
        self.tally = tally = advance.tally
        self._told = [(standing.left, standing.wait) for standing in advance.standings]
        lasting = [(at, want) for at, want in enumerate(wants) if want.limit.kind != RATE]
        #: Of each want: where its number stands, and all of it; the place is 0 where there is none.
        self._numbers = [(0, 0)] * len(wants)
        #: Of what lasts: its place in claims, whether it is a window, where its number stands, and all of it.
        self._tallied = tuple(
            [
                (at, want.limit.kind == WINDOW, tally.place(index), want.amount)
                for index, (at, want) in enumerate(lasting)
                if tally is not None
            ]
        )
        for at, _, cell, whole in self._tallied:
            self._numbers[at] = (cell, whole)
        self._cells = None if tally is None else tally.cells
        #: Where it stands whose the numbers are, and who that has to be.
        self._owner = (0, 0) if tally is None else (tally.place(-1), tally.name[1])

    @property
    def used(self) -> list[int]:
        """What is not left."""
        return [want.amount - left for want, left in zip(self.advance.claim.wants, self.left, strict=True)]

    def take(self, wants: Sequence[Want]) -> bool:
        """Take what is wanted, if it fits. Each step counts here."""
        left, cells = self.left, self._cells
        at = 0
        for want in wants:
            if want[1] > left[at]:
                return False
            at += 1  # noqa: SIM113
        if cells is None:
            at = 0
            for want in wants:
                left[at] -= want[1]
                at += 1  # noqa: SIM113
        else:
            place, stamp = self._owner
            if cells[place] != stamp:
                return False
            at = 0
            for cell, whole in self._numbers:
                left[at] = now = left[at] - wants[at][1]
                if cell:
                    cells[cell] = whole - now
                at += 1  # noqa: SIM113
        self.taken += 1
        return True

    def settle(self, claim: Claim, actual: Sequence[int]) -> bool:
        """Set what a claim came to; False where the advance has ended before."""
        self.claims -= 1
        cells = self._cells
        if cells is None:
            return False
        place, stamp = self._owner
        if cells[place] != stamp:
            return False
        left, wants = self.left, claim.wants
        for at, is_window, cell, whole in self._tallied:
            back = wants[at][1]
            left[at] = now = left[at] + (back - actual[at] if is_window else back)
            cells[cell] = whole - now
        return True

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How the limits stand."""
        pairs = zip(self.left, self._told, strict=True)
        return tuple([_standing((True, below + left, wait)) for left, (below, wait) in pairs])


class Kind:
    """Claims of the same limits: what they are taken of, and how many came since when."""

    __slots__ = ("came", "resting", "since", "slice")

    def __init__(self) -> None:
        self.slice: Slice | None = None
        self.came = self.since = self.resting = 0


class Advancing:
    """Limits in a store and what this process took of them in advance; for callers who claim each name once."""

    def __init__(self, kept: Advanceable, later: Later | None = None) -> None:
        self._kept = kept
        self._clock = kept.clock
        self._later = later
        self._kinds: dict[tuple[bytes, ...], Kind] = {}
        self._mine: dict[bytes, Slice] = {}

    async def reserve(self, claim: Claim) -> Verdict:
        """Take a claim of what is at hand, or of the store.

        Raises:
            StoreAway: the store is away.
        """
        name = kind_of(claim.tag, claim.wants)
        held = self.take_at_hand(claim, name)
        if held is None:
            kind = self._kinds.get(name) or self._new(name)
            held = self._next(kind, claim, self._clock())
            if held is None or not self._taken(held, claim):
                return await self._kept.reserve(claim)
        return Verdict(True, held.standings)

    def take_at_hand(self, claim: Claim, name: tuple[bytes, ...]) -> Slice | None:
        """Take a claim of what is at hand, here and now; None where that has to be reserved.

        `name` is what `kind_of` says of it.
        """
        kind = self._kinds.get(name)
        if kind is None or (held := kind.slice) is None:
            return None
        return held if held.since <= self._clock() <= held.until and self._taken(held, claim) else None

    def _taken(self, held: Slice, claim: Claim) -> bool:
        if not held.take(claim.wants):
            return False
        if held.lasting:
            held.claims += 1
            self._mine[claim.id] = held
        return True

    async def settle(self, claim: Claim, actual: Sequence[int]) -> bool:
        """Settle where it was taken."""
        return self.settle_nowait(claim, actual)

    def settle_nowait(self, claim: Claim, actual: Sequence[int]) -> bool:
        """Settle where it was taken, here and now."""
        held = self._mine.pop(claim.id, None)
        if held is None:
            return self._kept.settle_nowait(claim, actual)
        settled = held.settle(claim, actual)
        if not held.claims and not held.is_open:
            self._trim(held)
        return settled

    async def renew(self, claims: Sequence[Claim]) -> int:
        """Renew claims, and the advances that they were taken of."""
        mine = self._mine
        own = [claim for claim in claims if claim.id not in mine]
        through = {mine[claim.id] for claim in claims if claim.id in mine}
        return await self._kept.renew([*own, *[held.advance.claim for held in through]])

    def close(self) -> None:
        """Give back what nobody used."""
        for kind in self._kinds.values():
            if kind.slice is not None:
                self._retire(kind, kind.slice, kind.since)

    def _new(self, name: tuple[bytes, ...]) -> Kind:
        if len(self._kinds) >= _KNOWN:
            self.close()
            self._kinds.clear()
        kind = self._kinds[name] = Kind()
        return kind

    def _next(self, kind: Kind, claim: Claim, now: int) -> Slice | None:
        """Take another advance, if claims come fast enough; what is left of the last one goes back."""
        last = kind.slice
        if last is not None:
            self._retire(kind, last, now)
            if now <= last.until:
                kind.came *= 2  # it did not last
        if not 0 <= now - kind.since < _LIFE:
            kind.came, kind.since = 0, now
        kind.came += 1
        if kind.came < _MANY or 0 <= kind.resting - now < _LIFE or not can_be_advanced(claim):
            return None
        advance = self._kept.advance(claim, kind.came + kind.came // 4, _LATEST)
        if advance is None:
            kind.resting = now + _LIFE
            return None
        kind.slice = held = Slice(advance)
        later = self._later or asyncio.get_running_loop().call_later
        later(_LIFE / 1e6, lambda: self._retire(kind, held, self._clock()))
        return held

    def _retire(self, kind: Kind, held: Slice, now: int) -> None:
        """Hand out no more of an advance, and give back what is left."""
        if kind.slice is not held:
            return
        kind.slice, held.is_open = None, False
        kind.came, kind.since = held.taken, now
        self._trim(held)

    def _trim(self, held: Slice) -> None:
        with suppress(StoreAway):  # it ends by itself, as it was used
            self._kept.trim(held.advance, held.used, last=not held.claims)
        # What was taken of a rate goes back once.
        held.advance = held.advance._replace(until=0)
