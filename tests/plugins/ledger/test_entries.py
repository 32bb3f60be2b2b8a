import msgspec

from llmproxy_ledger.entries import batch, columns, lost, row_of
from llmproxy_ledger.records import Begun, Whose, Written

from .test_books import PRICES, intended, settled


def test_a_row_comes_back_as_it_was():
    row = settled("a", key="k", org="o", team="t", user="u", reserved=9)

    assert row_of(columns(row)) == row


def test_a_batch_has_no_call_that_has_ended_and_nothing_twice():
    records = [PRICES, intended("a"), intended("b"), settled("a"), intended("b"), PRICES]
    sorted_ = batch(("j", record) for record in records)

    assert ([row[0] for row in sorted_.rows], sorted_.prices) == (["a"], [PRICES])
    assert [(journal, call.entry) for journal, call in sorted_.calls] == [("j", "b")]


def test_what_was_lost_costs_its_ceiling_and_prices_are_asked_for_once():
    asked = []

    def rates(version):
        asked.append(version)
        return PRICES.rates

    rows = lost([msgspec.json.encode(intended(name)) for name in "ab"], rates)

    assert asked == ["v1"]
    assert [(each.entry, each.row.result, each.row.cost, each.basis) for each in rows] == [
        ("a", "lost", 1040, "ceiling"),
        ("b", "lost", 1040, "ceiling"),
    ]


def test_what_is_written_while_calls_come_is_told_as_all_else():
    row, call = settled("a"), intended("b").row
    whose = Whose(*[getattr(call, name) for name in Whose._fields])
    begun = Begun("b", call.id, call.exchange, call.at, whose, call.prices, call.reserved, 40, 100)
    sorted_ = batch([("j", begun), ("j", Written(columns(row)))])

    assert sorted_ == ([columns(row)], [("j", intended("b"))], [])
