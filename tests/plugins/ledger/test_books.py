from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxy.plugin import PriceConfig, Settlement, Usage, priced_as
from llmproxy_ledger.books import FILE, Books
from llmproxy_ledger.records import Intent, PriceList, Row

from .stage import rows

PRICES = PriceList("v1", priced_as(PriceConfig(input=1, output=10), "v1").rates)


def settled(entry: str, output: int = 5, **more: object) -> Row:
    known = {"id": f"{entry}/1", "exchange": entry, "at": 1.0, "tenant": "t", "model": "gpt", "prices": "v1"}
    usage = Usage(input=7, output=output)
    row = Settlement(**{**known, "usage": usage, "state": "exact", "cost": 7 + 10 * output, **more})
    return Row(entry, row, "told")


def intended(entry: str) -> Intent:
    row = settled(entry).row
    return Intent(entry, msgspec.structs.replace(row, state="unknown", usage=Usage(), cost=0), 40, 100)


@pytest.fixture
def books(tmp_path):
    books = Books(tmp_path / FILE)
    yield books
    books.close()


def test_what_is_posted_twice_stands_once(books, tmp_path):
    records = [("j", PRICES), ("j", intended("a")), ("j", settled("a")), ("j", intended("b"))]

    assert [books.post(records), books.post(records)] == [1, 1]
    assert [row["entry"] for row in rows(tmp_path)] == ["a"]
    assert books.give_up("j") == 1
    assert books.give_up("j") == 0


def test_the_first_settlement_of_an_entry_stands(books, tmp_path):
    books.post([("j", settled("a", 5))])
    books.post([("j", settled("a", 6))])

    assert [row["output"] for row in rows(tmp_path)] == [5]


def test_calls_of_a_dead_process_are_unknown_at_their_ceiling(books, tmp_path):
    books.post([("j", PRICES), ("j", intended("a")), ("other", intended("b"))])
    books.give_up("j")

    (row,) = rows(tmp_path)
    assert (row["entry"], row["state"], row["basis"], row["result"]) == ("a", "unknown", "ceiling", "lost")
    assert (row["input"] + row["cache_write"], row["output"] + row["reasoning"], row["cost"]) == (
        40,
        100,
        1040,
    )


def test_what_was_taken_for_lost_is_settled_by_what_is_told_after_all(books, tmp_path):
    books.post([("j", intended("a"))])
    books.give_up("j")
    books.post([("j", settled("a"))])
    books.post([("j", intended("a"))])

    assert [row["state"] for row in rows(tmp_path)] == ["exact"]
    assert books.give_up("j") == 0


def test_all_or_nothing_of_what_is_posted_at_once_stands(books, tmp_path):
    broken = msgspec.structs.replace(settled("b").row, cost=None)
    with pytest.raises(Exception, match="NOT NULL"):
        books.post([("j", settled("a")), ("j", Row("b", broken, "told"))])

    assert rows(tmp_path) == []
    assert books.post([("j", settled("a"))]) == 1


def test_prices_are_kept_by_their_version(books):
    books.post([("j", PRICES)])

    assert books.rates("v1") == PRICES.rates
    assert books.rates("v2") == ()


ENTRIES = st.sampled_from("abcdef")
JOURNAL = st.lists(st.one_of(st.builds(intended, ENTRIES), st.builds(settled, ENTRIES)), max_size=12)


@settings(max_examples=15)  # each makes two databases, synced
@given(JOURNAL, st.data())
def test_any_part_of_a_journal_may_be_posted_again(tmp_path_factory, journal, data):
    once, again = (tmp_path_factory.mktemp("books") for _ in range(2))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(journal))] * 2)))
    post(once, [journal])
    post(again, [journal[:end], journal[start:], journal[start:end], journal])

    assert rows(again) == rows(once)


def post(directory: Path, parts: list[list[Row | Intent]]) -> None:
    books = Books(directory / FILE)
    for part in parts:
        books.post(("j", record) for record in part)
    books.give_up("j")
    books.close()


def test_a_call_is_open_until_its_row_is_posted(books):
    def held() -> list[str]:
        return [entry for (entry,) in books.ask("SELECT entry FROM intents ORDER BY entry")]

    books.post([("j", intended(entry)) for entry in "abcd"])
    books.post([("j", settled("b"))])
    few = held()
    books.post([("j", settled(entry)) for entry in "acde"])

    assert few == ["a", "c", "d"]
    assert held() == []
