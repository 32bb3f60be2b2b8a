from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.postgresserver import unanswered_commits

from llmproxy.plugin import BlockingPostgres, Postgres, PostgresAway, PostgresUrl, Usage
from llmproxy_ledger.config import SCHEMA
from llmproxy_ledger.entries import COLUMNS
from llmproxy_ledger.postgresbooks import NotPosted, PostgresBooks, PostgresReading
from llmproxy_ledger.reporting import SELECTED

from .test_books import JOURNAL, PRICES, intended, settled


def blocking(url: str) -> BlockingPostgres:
    return BlockingPostgres(Postgres(PostgresUrl(url), SCHEMA, connections=1))


@pytest.fixture
def books(postgres_url: str) -> Iterator[PostgresBooks]:
    books = PostgresBooks(blocking(postgres_url), "one")
    yield books
    books.close()


def rows(url: str, names: str = SELECTED) -> list[dict[str, Any]]:
    reading = PostgresReading(blocking(url))
    found = list(reading.ask(f"SELECT {names} FROM attempts ORDER BY entry"))
    reading.close()
    keys = COLUMNS if names == SELECTED else names.split(", ")
    return [dict(zip(keys, row, strict=True)) for row in found]


def test_what_is_posted_twice_stands_once(books: PostgresBooks, postgres_url: str) -> None:
    records = [("j", PRICES), ("j", intended("a")), ("j", settled("a")), ("j", intended("b"))]

    assert [books.post(records), books.post(records)] == [1, 1]
    assert [(row["entry"], row["cost"], row["at"]) for row in rows(postgres_url)] == [("a", 57, 1.0)]
    assert [books.give_up("j"), books.give_up("j")] == [1, 0]


def test_a_row_names_the_instance_that_posted_it(books: PostgresBooks, postgres_url: str) -> None:
    other = PostgresBooks(blocking(postgres_url), "two")
    books.post([("j", settled("a"))])
    other.post([("k", settled("a")), ("k", settled("b"))])
    other.close()

    assert rows(postgres_url, "entry, instance") == [
        {"entry": "a", "instance": "one"},
        {"entry": "b", "instance": "two"},
    ]


def test_calls_of_a_dead_process_are_unknown_at_their_ceiling(
    books: PostgresBooks, postgres_url: str
) -> None:
    books.post([("j", PRICES), ("j", intended("a")), ("other", intended("b"))])
    books.give_up("j")

    (row,) = rows(postgres_url)
    assert (row["entry"], row["state"], row["basis"], row["result"]) == ("a", "unknown", "ceiling", "lost")
    assert row["cost"] == 1040


def test_what_was_taken_for_lost_is_settled_by_what_is_told_after_all(
    books: PostgresBooks, postgres_url: str
) -> None:
    books.post([("j", intended("a"))])
    books.give_up("j")
    books.post([("j", settled("a"))])
    books.post([("j", intended("a")), ("j", settled("a", 6))])

    assert [(row["state"], row["output"]) for row in rows(postgres_url)] == [("exact", 5)]
    assert books.give_up("j") == 0


def test_all_or_nothing_of_what_is_posted_at_once_stands(books: PostgresBooks, postgres_url: str) -> None:
    nameless: Any = None
    with pytest.raises(NotPosted, match="NotNullViolation"):
        books.post([("j", settled("a")), (nameless, intended("b"))])

    assert rows(postgres_url) == []
    assert books.give_up("j") == 0
    assert books.post([("j", settled("a"))]) == 1


def test_what_a_caller_or_a_provider_tells_is_taken_whatever_it_is(
    books: PostgresBooks, postgres_url: str
) -> None:
    usage = Usage(input=2**70)
    books.post([("j", settled("a", model="a\0b", usage=usage)), ("j", intended("b"))])
    told = msgspec.structs.replace(intended("c").row, exchange="\0", model="\0")
    books.post([("j", msgspec.structs.replace(intended("c"), row=told))])
    books.give_up("j")

    assert [(row["model"], row["input"]) for row in rows(postgres_url)] == [
        ("a\ufffdb", 2**63 - 1),
        ("gpt", 40),
        ("\ufffd", 40),
    ]


@pytest.mark.parametrize("done", [True, False])
def test_a_commit_that_is_not_answered_is_done_again(
    books: PostgresBooks, postgres_url: str, done: bool
) -> None:
    records = [("j", settled("a")), ("j", intended("b"))]
    books.post([])
    with unanswered_commits(done=done), pytest.raises(PostgresAway):
        books.post(records)
    between = [row["entry"] for row in rows(postgres_url)]
    while True:
        try:
            books.ready()
            break
        except PostgresAway:
            time.sleep(0.02)
    books.post(records)

    assert between == (["a"] if done else [])
    assert [row["entry"] for row in rows(postgres_url)] == ["a"]
    assert books.give_up("j") == 1


def test_prices_are_kept_by_their_version(books: PostgresBooks, postgres_url: str) -> None:
    books.post([("j", PRICES)])
    books.post([("j", PRICES)])
    reading = PostgresReading(blocking(postgres_url))

    assert (reading.rates("v1"), reading.rates("v2")) == (PRICES.rates, ())
    reading.close()


def test_many_may_begin_and_post_at_once(postgres_url: str) -> None:
    gate, faults = threading.Barrier(6), []

    def work(name: str) -> None:
        books = PostgresBooks(blocking(postgres_url), name)
        gate.wait()
        try:
            for number in range(20):
                books.post([("j", PRICES), ("j", settled(f"{name}{number}")), ("j", settled(f"all{number}"))])
        except Exception as fault:
            faults.append(fault)
        books.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert len(rows(postgres_url)) == 7 * 20


@settings(max_examples=10)
@given(JOURNAL, st.data())
def test_any_part_of_a_journal_may_be_posted_again(shared_postgres: Any, journal: Any, data: Any) -> None:
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(journal))] * 2)))
    once = posted(shared_postgres, "once", [journal])
    again = posted(shared_postgres, "again", [journal[:end], journal[start:], journal[start:end], journal])

    assert again == once


def posted(server: Any, schema: str, parts: Any) -> list[dict[str, Any]]:
    url = f"{server.url()}?schema=ledger_{schema}"
    books = PostgresBooks(blocking(url), "one")
    books.post([])
    books._database.run(lambda connection: connection.execute("TRUNCATE attempts, intents, prices"))
    for part in parts:
        books.post(("j", record) for record in part)
    books.give_up("j")
    books.close()
    return rows(url)
