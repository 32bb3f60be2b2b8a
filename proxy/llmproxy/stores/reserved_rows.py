"""Claims against rows that are at hand: what a process keeps itself and what a transaction reads have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

from llmproxy.stores.reserving import LEASE, RATE, Claim, Row, Taking, Verdict, settle_bucket

#: Ended rows and reservations that each call looks at: far more than it can add.
SWEEP: Final = 64
#: What was taken for one call: its amounts are those that were reserved.
NO_TALLY: Final = (-1, 0)


class Item(NamedTuple):
    """What a reservation took of one limit that may be given back."""

    kind: int
    key: bytes
    bucket: int
    amount: int


#: As one is made, without a call of Python's.
_item: Final[Callable[[tuple[int, bytes, int, int]], Item]] = partial(tuple.__new__, Item)


class Held(NamedTuple):
    """A reservation as it is kept; `marked` is when the sweep looks at it, `ends` when it ends.

    `tally` is the slot and the stamp of what its process has used of it, where it was taken in advance.
    """

    ends: int
    marked: int
    keeps: bool
    items: tuple[Item, ...]
    tally: tuple[int, int] = NO_TALLY


class Rows(Protocol):
    """Rows and reservations by name, and marks in the order of their times."""

    def row(self, name: bytes) -> Row | None:
        """Return a limit's row."""

    def put_row(self, name: bytes, row: Row) -> None:
        """Keep a limit's row."""

    def drop_row(self, name: bytes) -> None:
        """Forget a limit's row."""

    def held(self, name: bytes) -> Held | None:
        """Return a reservation."""

    def put_held(self, name: bytes, held: Held) -> None:
        """Keep a reservation."""

    def drop_held(self, name: bytes) -> None:
        """Forget a reservation."""

    def mark(self, at: int, what: bytes) -> None:
        """Have the sweep look at `what` from `at` on."""

    def unmark(self, at: int, what: bytes) -> None:
        """Take a mark back."""

    def next_mark(self, until: int) -> tuple[int, bytes] | None:
        """Return and remove the first mark, if its time is `until` or before."""

    def tallied(self, held: Held) -> Sequence[int] | None:
        """Return what was used of an advance, by its items; None where nobody knows."""

    def untally(self, held: Held) -> None:
        """Forget what was used of an advance."""


def reserve(rows: Rows, claim: Claim, now: int) -> Verdict:
    """Take all that is claimed, or nothing."""
    sweep(rows, now)
    tag, granted = prefix(claim.tag), True
    name, lasting = tag + claim.id, claim.lasting
    again = lasting and rows.held(name) is not None
    found, standings = [], []
    for limit, amount, mode in claim.wants:
        key = tag + limit.key
        row = rows.row(key)
        taking = limit.take(row, 0 if again else amount, now)
        standing = taking[0]
        if not standing[0] and mode != "shadow":
            granted = False
        standings.append(standing)
        found.append((limit.kind, key, taking, amount, row is None))
    if granted and not again:
        put_taken(rows, claim, name, found, now)
    return Verdict(granted or again, tuple(standings))


def put_taken(
    rows: Rows,
    claim: Claim,
    name: bytes,
    found: list[tuple[int, bytes, Taking, int, bool]],
    now: int,
    tally: tuple[int, int] = NO_TALLY,
) -> None:
    """Keep what a claim takes: of each limit its kind, its row's name, what it comes to, how much, and if it is new."""
    items = []
    for kind, key, taking, amount, new in found:
        _, row, bucket = taking
        rows.put_row(key, row)
        if new and kind != LEASE:
            rows.mark(row[0], b"r" + key)
        if kind != RATE:
            items.append(_item((kind, key, bucket, amount)))
    if items:
        ends = now + claim.ttl
        rows.put_held(name, Held(ends, ends, claim.keeps, tuple(items), tally))
        rows.mark(ends, b"h" + name)


def settle(rows: Rows, claim: Claim, actual: Sequence[int], now: int) -> bool:
    """Set what each want came to; see `Reservations.settle`."""
    sweep(rows, now)
    name = prefix(claim.tag) + claim.id
    held = rows.held(name)
    if held is None:
        return False
    came = [amount for want, amount in zip(claim.wants, actual, strict=True) if want.limit.kind != RATE]
    for item, amount in zip(held.items, came, strict=True):
        _set(rows, item, amount)
    rows.drop_held(name)
    rows.unmark(held.marked, b"h" + name)
    return True


def renew(rows: Rows, claims: Sequence[Claim], now: int) -> int:
    """Have reservations end later; the sweep finds out when it comes to their marks."""
    sweep(rows, now)
    there = 0
    for claim in claims:
        name = prefix(claim.tag) + claim.id
        held = rows.held(name)
        if held is not None:
            there += 1
            rows.put_held(name, held._replace(ends=max(held.ends, now + claim.ttl)))
    return there


def prefix(tag: bytes) -> bytes:
    """Return what names under a tag begin with, so that no two tags share a name."""
    return b"%d:%b" % (len(tag), tag)


def sweep(rows: Rows, now: int) -> None:
    """End what has ended, up to so much of it."""
    for _ in range(SWEEP):
        marked = rows.next_mark(now)
        if marked is None:
            return
        what = marked[1]
        (_sweep_row if what[:1] == b"r" else _sweep_held)(rows, what, now)


def _sweep_row(rows: Rows, what: bytes, now: int) -> None:
    row = rows.row(what[1:])
    if row is None:
        return
    if row[0] > now:
        rows.mark(row[0], what)
    else:
        rows.drop_row(what[1:])


def _sweep_held(rows: Rows, what: bytes, now: int) -> None:
    held = rows.held(what[1:])
    if held is None:
        return
    if held.ends > now:
        rows.put_held(what[1:], held._replace(marked=held.ends))
        rows.mark(held.ends, what)
        return
    used = rows.tallied(held) if held.tally != NO_TALLY else None
    for index, item in enumerate(held.items):
        taken = item.amount if used is None else used[index]
        _set(rows, item, taken if held.keeps else 0)
    rows.drop_held(what[1:])
    if held.tally != NO_TALLY:
        rows.untally(held)


def _set(rows: Rows, item: Item, amount: int) -> None:
    row = rows.row(item.key)
    if row is None:
        return
    if item.kind == LEASE:
        row[1] -= item.amount
        if row[1] <= 0:
            rows.drop_row(item.key)
            return
    elif amount == item.amount:
        return
    else:
        settle_bucket(row, item.bucket, amount - item.amount)
    rows.put_row(item.key, row)
