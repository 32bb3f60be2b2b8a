"""What a process takes of limits in advance, so that its next claims need no transaction: against rows at hand.

Theory. An advance is a reservation of as much as many claims need, of limits that are far from their ends: what is left
is `FAR` times as much. It is taken as claims take, so no process ever goes over. What is used of it stands in a tally
that outlives its process: who ends the advance of a killed one sets what was used, as if each call had been reserved
alone. What nobody used is given back a moment later.

A rate leaks, and what was taken of it counts from the moment at which it is used. So an advance is taken as if at its
own end: the debt is at least what leaks until then. From there on no leak is lost to an empty bucket, so until its end
what was not used can be taken off the debt, which then is what it would be had each been taken when it was used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from llmproxy.stores.reserved_rows import NO_TALLY, Item, Rows, prefix, put_taken, sweep
from llmproxy.stores.reserving import LEASE, Claim, Rate, Row, Standing, Taking, Want, Window, settle_bucket
from llmproxy.stores.tallies import MOST, Tally

#: What is left of each limit, at least, as a multiple of an advance.
FAR: Final = 64
#: Claims that an advance is worth taking for.
LEAST: Final = 4


class Advance(NamedTuple):
    """What was taken: `claim` holds the amounts, `until` (engine's clock) is when it is used no more."""

    claim: Claim
    since: int
    until: int
    standings: tuple[Standing, ...]
    #: None where only rates were taken, of which nothing ends with the process.
    tally: Tally | None


def begin(rows: Rows, claim: Claim, times: int, now: int, until: int, tally: Tally | None) -> Advance | None:
    """Take what up to so many claims like this one need; None where that is not far from some limit's end."""
    sweep(rows, now)
    tag = prefix(claim.tag)
    found: list[tuple[Want, bytes, Row | None]] = []
    for want in claim.wants:
        limit, amount, _ = want
        row = rows.row(tag + limit.key)
        room = limit.take(row, 0, now).standing.left // (amount * FAR) if amount else times
        if room < LEAST:
            return None
        if isinstance(limit, Window):
            until = min(until, limit.starts(limit.bucket(now) + 1) - 1)
        found.append((want._replace(amount=amount * min(times, room)), tag + limit.key, row))
    takings = [_ahead(want, row, now, until) for want, _, row in found]
    if not all(taking.standing.ok for taking in takings):
        return None
    whole = claim._replace(id=b"+" + claim.id, wants=tuple([want for want, _, _ in found]))
    taken = [
        (want.limit.kind, key, taking, want.amount, row is None)
        for (want, key, row), taking in zip(found, takings, strict=True)
    ]
    put_taken(rows, whole, tag + whole.id, taken, now, NO_TALLY if tally is None else tally.name)
    return Advance(whole, now, until, tuple([taking.standing for taking in takings]), tally)


def can_be_advanced(claim: Claim) -> bool:
    """Whether a claim is of a kind that is taken in advance."""
    return claim.keeps and 0 < len(claim.wants) <= MOST


def _ahead(want: Want, row: Row | None, now: int, until: int) -> Taking:
    limit = want.limit
    if isinstance(limit, Rate):
        debt = 0 if row is None else max(0, row[1] - max(0, now - row[2]) * limit.limit)
        row = [0, max(debt, (until - now) * limit.limit), now]
    return limit.take(row, want.amount, now)


def trim(rows: Rows, advance: Advance, used: Sequence[int], now: int, *, last: bool) -> bool:
    """Give back what nobody used; hold the rest, or nothing more at the `last`. False where the advance has ended."""
    sweep(rows, now)
    claim = advance.claim
    tag = prefix(claim.tag)
    name = tag + claim.id
    held = rows.held(name)
    if held is None and claim.lasting:
        return False
    items, kept = iter(() if held is None else held.items), []
    for want, amount in zip(claim.wants, used, strict=True):
        limit = want.limit
        if not isinstance(limit, Rate):
            out = 0 if last and limit.kind == LEASE else amount
            kept.append(_set_item(rows, next(items), out))
        elif advance.since <= now <= advance.until:
            _give_back(rows, tag + limit.key, (want.amount - amount) * limit.period)
    if held is None:
        return True
    if last:
        rows.drop_held(name)
        rows.unmark(held.marked, b"h" + name)
        rows.untally(held)
    else:
        rows.put_held(name, held._replace(items=tuple(kept)))
    return True


def _set_item(rows: Rows, item: Item, amount: int) -> Item:
    by = amount - item.amount
    row = rows.row(item.key) if by else None
    if row is None:
        return item._replace(amount=amount)
    if item.kind == LEASE:
        row[1] += by
    else:
        settle_bucket(row, item.bucket, by)
    if item.kind == LEASE and row[1] <= 0:
        rows.drop_row(item.key)
    else:
        rows.put_row(item.key, row)
    return item._replace(amount=amount)


def _give_back(rows: Rows, key: bytes, debt: int) -> None:
    row = rows.row(key)
    if row is not None and debt > 0:
        row[1] = max(0, row[1] - debt)
        rows.put_row(key, row)
