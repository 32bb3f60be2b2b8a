"""Claims that are taken of what this process took in advance: no transaction for most of them, and never over a limit.

Where claims of one kind come fast and their limits are far from their ends, what the next ones need is taken at once
(advances.py) and handed out from memory. Near a limit, and for claims that come rarely, each is taken of the store by
itself. What was taken in advance and is not used goes back within `_LIFE`; until then a limit may look fuller to other
processes than it is, by a part in sixty-four for each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from operator import add
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
        "_below",
        "_cells",
        "_lasting",
        "_place",
        "_stamp",
        "advance",
        "is_open",
        "left",
        "said",
        "settled",
        "since",
        "taken",
        "until",
        "waits",
    )

    def __init__(self, advance: Advance) -> None:
        wants = advance.claim.wants
        self.advance = advance
        self.since, self.until = advance.since, advance.until
        self.left = [want.amount for want in wants]
        #: Claims that were taken of it, and those that were settled.
        self.taken = self.settled = 0
        #: Whether more is handed out.
        self.is_open = True
        #: What its user tells callers of it.
        self.said: bytes | None = None
        self._below = [standing.left for standing in advance.standings]
        #: Microseconds until each limit is whole again, as it was when this was taken.
        self.waits = [standing.wait for standing in advance.standings]
        tally = advance.tally
        lasting = [(at, want) for at, want in enumerate(wants) if want.limit.kind != RATE]
        #: Of what lasts: its place in claims, whether it is a window, where its number stands, and all of it.
        self._lasting = tuple(
            [
                (at, want.limit.kind == WINDOW, tally.place(index), want.amount)
                for index, (at, want) in enumerate(lasting)
                if tally is not None
            ]
        )
        self._cells = None if tally is None else tally.cells
        #: Where it stands whose the numbers are, and who that has to be.
        self._place, self._stamp = (0, 0) if tally is None else (tally.place(-1), tally.name[1])

    @property
    def claims(self) -> int:
        """How many of its claims are not settled; none where nothing lasts."""
        return self.taken - self.settled if self._lasting else 0

    @property
    def used(self) -> list[int]:
        """What is not left."""
        return [want.amount - left for want, left in zip(self.advance.claim.wants, self.left, strict=True)]

    def take(self, amounts: Sequence[int]) -> bool:
        """Take an amount of each, if all fit. Each step counts here."""
        left, cells = self.left, self._cells
        if cells is not None and cells[self._place] != self._stamp:
            return False
        if len(left) == 1:
            now = left[0] - amounts[0]
            if now < 0:
                return False
            left[0] = now
        else:
            at = 0
            for amount in amounts:
                left[at] = now = left[at] - amount
                at += 1  # noqa: SIM113
                if now < 0:
                    self._put_back(amounts, at)
                    return False
        if cells is not None:
            for at, _, cell, whole in self._lasting:
                cells[cell] = whole - left[at]
        self.taken += 1
        return True

    def _put_back(self, amounts: Sequence[int], until: int) -> None:
        for at in range(until):
            self.left[at] += amounts[at]

    def settle(self, amounts: Sequence[int], actual: Sequence[int]) -> bool:
        """Set what was taken to what it came to; False where the advance has ended before."""
        self.settled += 1
        cells = self._cells
        if cells is None or cells[self._place] != self._stamp:
            return False
        left = self.left
        for at, is_window, cell, whole in self._lasting:
            left[at] = now = left[at] + (amounts[at] - actual[at] if is_window else amounts[at])
            cells[cell] = whole - now
        return True

    @property
    def lefts(self) -> Iterator[int]:
        """How much is left of each limit, with what was not taken in advance."""
        return map(add, self._below, self.left)

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How the limits stand."""
        return tuple([_standing((True, *each)) for each in zip(self.lefts, self.waits, strict=True)])


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
        #: What claims were taken of that were reserved by name.
        self._mine: dict[bytes, Slice] = {}
        #: What lasts for as long as any claim that was taken of it.
        self._lasting: set[Slice] = set()

    async def reserve(self, claim: Claim) -> Verdict:
        """Take a claim of what is at hand, or of the store.

        Raises:
            StoreAway: the store is away.
        """
        kind = self.kind(kind_of(claim.tag, claim.wants))
        amounts = [want.amount for want in claim.wants]
        held = self.take_at_hand(kind, amounts) or self._next(kind, claim, amounts)
        if held is None:
            return await self._kept.reserve(claim)
        if held.advance.claim.lasting:
            self._mine[claim.id] = held
        return Verdict(True, held.standings)

    def kind(self, name: tuple[bytes, ...]) -> Kind:
        """Return what claims of the same limits are taken of; `name` is what `kind_of` says of them."""
        found = self._kinds.get(name)
        if found is None:
            if len(self._kinds) >= _KNOWN:
                self.close()
                self._kinds.clear()
            found = self._kinds[name] = Kind()
        return found

    def take_at_hand(self, kind: Kind, amounts: Sequence[int]) -> Slice | None:
        """Take of what is at hand, here and now; None where that has to be reserved. `settle_slice` settles it."""
        held = kind.slice
        if held is None or not held.since <= self._clock() <= held.until or not held.take(amounts):
            return None
        return held

    def settle_slice(self, held: Slice, amounts: Sequence[int], actual: Sequence[int]) -> bool:
        """Settle what was taken at hand, once; False where it has ended before."""
        settled = held.settle(amounts, actual)
        if not held.is_open and not held.claims:
            self._trim(held)
        return settled

    async def settle(self, claim: Claim, actual: Sequence[int]) -> bool:
        """Settle where it was taken."""
        return self.settle_nowait(claim, actual)

    def settle_nowait(self, claim: Claim, actual: Sequence[int]) -> bool:
        """Settle where it was taken, here and now."""
        held = self._mine.pop(claim.id, None)
        if held is None:
            return self._kept.settle_nowait(claim, actual)
        return self.settle_slice(held, [want.amount for want in claim.wants], actual)

    async def renew(self, claims: Sequence[Claim]) -> int:
        """Renew claims, and all advances of which any have been taken."""
        mine = self._mine
        own = [claim for claim in claims if claim.id not in mine]
        through = [held.advance.claim for held in self._lasting if held.claims]
        return await self._kept.renew([*own, *through])

    def close(self) -> None:
        """Give back what nobody used."""
        for kind in self._kinds.values():
            if kind.slice is not None:
                self._retire(kind, kind.slice, kind.since)

    def _next(self, kind: Kind, claim: Claim, amounts: Sequence[int]) -> Slice | None:
        """Take of another advance, if claims come fast enough; what is left of the last one goes back."""
        last, now = kind.slice, self._clock()
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
        if advance.claim.lasting:
            self._lasting.add(held)
        later = self._later or asyncio.get_running_loop().call_later
        later(_LIFE / 1e6, lambda: self._retire(kind, held, self._clock()))
        return held if held.take(amounts) else None

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
        if not held.claims:
            self._lasting.discard(held)
        # What was taken of a rate goes back once.
        held.advance = held.advance._replace(until=0)
