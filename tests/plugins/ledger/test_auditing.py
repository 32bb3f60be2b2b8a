import msgspec
import pytest

from llmproxy.plugin import Usage
from llmproxy_ledger.auditing import Audit
from llmproxy_ledger.records import Row
from llmproxy_ledger.reporting import Period

from .test_books import PRICES, intended, settled


@pytest.fixture
def books(empty_books):
    empty_books.post([("j", PRICES)])
    return empty_books


def faults(books, *rows):
    books.post(("j", row) for row in rows)
    return [(fault.entry, fault.why) for fault in Audit(books).run(Period())]


def changed(row: Row, basis: str | None = None, **values: object) -> Row:
    return Row(row.entry, msgspec.structs.replace(row.row, **values), basis or row.basis)


def free(entry: str, **values: object) -> Row:
    row = settled(entry, state="free", usage=Usage(), cost=0, prices="", id=f"{entry}/0")
    return changed(row, "none", **values)


def test_what_balances_has_no_fault(books):
    good = [
        settled("a", reserved=60),
        free("b"),
        changed(settled("c"), "seen", state="estimated"),
        settled("d", prices="unknown", cost=0),
        changed(settled("e"), state="partial"),
        changed(settled("f"), "ceiling", state="unknown"),
    ]

    assert faults(books, *good) == []


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (settled("a", cost=58), "it cost 58, and its usage by its prices is 57"),
        (settled("a", prices="v2"), "its prices 'v2' are not in the ledger"),
        (settled("a", prices=""), "it cost 57, and names no prices"),
        (settled("a", reserved=56), "it cost 57, more than the 56 that were reserved"),
        (free("a", cost=1), "it is free, and has a cost or a usage"),
        (settled("a", -1, cost=-3), "a number in it is negative"),
        (changed(settled("a"), "seen"), "it is exact, and rests on 'seen'"),
        (settled("a", state="odd"), "its state 'odd' is none"),
    ],
)
def test_what_does_not_balance_is_named(books, row, why):
    assert ("a", why) in faults(books, row)


def test_an_attempt_without_a_row_is_missed(books):
    first, third = (settled(f"a{n}", exchange="a", id=f"a/{n}") for n in (1, 3))

    assert faults(books, first, third) == [("a1", "of its 3 attempts 1 have no row")]


def test_an_attempt_that_is_under_way_is_not_missed(books):
    first = settled("a1", exchange="a", id="a/1")
    other = intended("a2")
    other = msgspec.structs.replace(other, row=msgspec.structs.replace(other.row, exchange="a", id="a/2"))
    third = settled("a3", exchange="a", id="a/3")

    assert faults(books, first, other, third) == []


def test_an_exchange_is_looked_at_whole_though_the_time_asked_for_parts_it(books):
    rows = [
        settled(f"{name}{n}", at=float(n), exchange=name, id=f"{name}/{n}")
        for name in "ab"
        for n in (1, 2, 3)
    ]
    open_ = intended("c2")
    open_ = msgspec.structs.replace(open_, row=msgspec.structs.replace(open_.row, exchange="c", id="c/2"))
    books.post(
        ("j", row) for row in [*rows[:4], rows[5], settled("c1", at=1.0, exchange="c", id="c/1"), open_]
    )
    found = {
        (since, until): [(fault.entry, fault.why) for fault in Audit(books).run(Period(since, until))]
        for since, until in ((2.5, None), (None, 1.5), (1.5, 2.5), (4.0, None))
    }

    missed = [("b1", "of its 3 attempts 1 have no row")]
    assert found == {(2.5, None): missed, (None, 1.5): missed, (1.5, 2.5): [], (4.0, None): []}


def test_an_exchange_that_says_both_is_told(books):
    none, one = free("a"), settled("b", exchange="a", id="a/1")

    assert faults(books, none, one) == [("a", "it made attempts, and has a row that says it made none")]


def test_an_id_that_its_caller_used_twice_is_no_fault(books):
    assert faults(books, settled("a", exchange="x", id="p-1/1"), settled("b", exchange="x", id="p-2/1")) == []


def test_an_id_that_its_caller_used_twice_hides_no_gap(books):
    rows = settled("a", exchange="x", id="p-1/1"), settled("b", exchange="x", id="p-2/2")

    assert faults(books, *rows) == [("b", "of its 2 attempts 1 have no row")]


def test_an_attempt_that_has_two_rows_is_told(books):
    rows = settled("a", exchange="x", id="p-1/1"), settled("b", exchange="x", id="p-1/1")

    assert faults(books, *rows) == [("a", "1 of its attempts have more than one row")]


def test_sums_are_told(books):
    books.post([("j", settled("a", reserved=100)), ("j", settled("b", reserved=50)), ("j", settled("c"))])
    audit = Audit(books)
    list(audit.run(Period()))

    assert (audit.rows, audit.settled, audit.reserved) == (3, 171, 150)
    assert (audit.released, audit.over, audit.faults) == (43, 7, 1)
