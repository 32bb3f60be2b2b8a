from pathlib import Path

import pytest

from llmproxy_ledger.entries import columns
from llmproxy_ledger.records import Written
from llmproxy_ledger.remembering import Memory

from .test_books import PRICES, intended, settled

FIRST, SECOND = Path("j-1"), Path("j-2")


def test_rows_are_taken_once():
    memory = Memory()
    memory.add(PRICES)
    memory.begin(intended("a"), FIRST)
    memory.add(settled("a"))

    assert memory.take(FIRST) == ([PRICES, settled("a")], [])
    assert memory.take(FIRST) == ([], [])


def test_a_call_that_goes_on_is_told_of_when_its_segment_is_removed():
    memory = Memory()
    memory.begin(intended("a"), FIRST)
    memory.begin(intended("b"), SECOND)
    early = memory.take(FIRST).calls
    tried = memory.take(SECOND).calls
    memory.forget()
    again = memory.take(SECOND).calls
    memory.posted()

    assert early == [intended("b")]
    assert tried == [intended("a")]
    assert again == [intended("a"), intended("b")]  # its rows have to be read
    assert memory.take(SECOND).calls == []


def test_every_call_is_told_of_once_where_that_is_asked():
    memory = Memory()
    memory.begin(intended("a"), FIRST)
    first = memory.take(FIRST, every=True).calls
    memory.add(settled("a"))
    memory.begin(intended("b"), FIRST)
    memory.posted()
    second = memory.take(FIRST, every=True)
    memory.posted()

    assert first == [intended("a")]
    assert second == ([settled("a")], [intended("b")])
    assert memory.take(SECOND, every=True).calls == []


@pytest.mark.parametrize("written", [lambda row: row, lambda row: Written(columns(row))])
def test_all_calls_are_told_of_where_one_had_further_attempts(written):
    memory = Memory()
    memory.begin(intended("a"), FIRST)
    memory.begin(intended("b"), FIRST)
    memory.add(written(settled("b")))
    first = memory.take(FIRST).calls
    memory.add(written(settled("c", id="x/2")))

    assert first == []
    assert memory.take(FIRST).calls == [intended("a")]


def test_what_could_not_be_posted_or_is_too_much_has_to_be_read(monkeypatch):
    monkeypatch.setattr("llmproxy_ledger.remembering.MOST", 2)
    memory = Memory()
    memory.add(settled("a"))
    memory.take(FIRST)
    memory.forget()
    memory.add(settled("b"))
    failed = memory.take(FIRST).rows
    for name in "cde":
        memory.add(settled(name))
    many = memory.take(FIRST).rows
    memory.add(settled("f"))

    assert (failed, many) == (None, None)
    assert memory.take(FIRST).rows == [settled("f")]
