from __future__ import annotations

from llmproxy.stores.advances import FAR, LEAST, begin, can_be_advanced, trim
from llmproxy.stores.memory_reserving import MemoryRows
from llmproxy.stores.reserved_rows import prefix
from llmproxy.stores.reserving import SECOND, Claim, Lease, Rate, Want, Window

NAME = prefix(b"t")


def claim(limit: Window | Lease | Rate, amount: int) -> Claim:
    return Claim(b"c", b"t", (Want(limit, amount),))


def test_no_more_is_taken_than_a_part_of_what_is_left() -> None:
    rows = MemoryRows()
    window = Window(b"w", 100 * FAR, 0)
    taken = begin(rows, claim(window, 10), 50, 0, SECOND, None)
    near = begin(rows, claim(window, 10 * FAR), 50, 0, SECOND, None)

    assert taken is not None
    assert taken.claim.wants[0].amount == 100
    assert near is None
    assert rows.rows[NAME + b"w"][2] == 100


def test_an_advance_ends_with_the_bucket_that_it_was_taken_in() -> None:
    taken = begin(MemoryRows(), claim(Window(b"w", 10**6, SECOND), 1), LEAST, 0, 5 * SECOND, None)

    assert taken is not None
    assert taken.until == SECOND - 1


def test_what_is_not_used_goes_back_and_the_rest_is_held_until_the_last() -> None:
    rows = MemoryRows()
    taken = begin(rows, claim(Lease(b"l", 10_000), 1), 50, 0, SECOND, None)
    assert taken is not None
    assert trim(rows, taken, [20], 0, last=False)
    held = list(rows.rows[NAME + b"l"])
    assert trim(rows, taken, [0], 0, last=True)

    assert held == [0, 20]
    assert not rows.rows
    assert not trim(rows, taken, [0], 0, last=True)


def test_claims_that_keep_nothing_are_taken_by_themselves() -> None:
    assert can_be_advanced(claim(Lease(b"l", 1), 1))
    assert not can_be_advanced(claim(Lease(b"l", 1), 1)._replace(keeps=False))
    assert not can_be_advanced(Claim(b"c", b"t", ()))
