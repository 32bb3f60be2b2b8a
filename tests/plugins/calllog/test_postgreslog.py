from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.postgresserver import unanswered_commits

from llmproxy.plugin import BlockingPostgres, Postgres, PostgresAway, PostgresUrl
from llmproxy_calllog.asking import NotALog
from llmproxy_calllog.filtering import Filter, read_filter
from llmproxy_calllog.postgreslog import SCHEMA, PostgresLog, PostgresReader, give_up_idle, words

from .records import NOW, make_record


def blocking(url: str) -> BlockingPostgres:
    return BlockingPostgres(Postgres(PostgresUrl(url), SCHEMA, connections=1, prepare=give_up_idle))


def opened(url: str, search: bool = True) -> PostgresLog:
    return PostgresLog(blocking(url), search=search, wall=lambda: NOW)


@pytest.fixture
def log(postgres_url: str) -> Iterator[PostgresLog]:
    log = opened(postgres_url)
    yield log
    log.close()


@pytest.fixture
def ids(log: PostgresLog, postgres_url: str) -> Iterator[Callable[..., list[str]]]:
    log.tidy(None, None)
    reader = PostgresReader(blocking(postgres_url))
    yield lambda **wanted: [call["id"] for call in reader.read(Filter(**wanted))]
    reader.close()


def read(url: str, **wanted: Any) -> list[dict[str, Any]]:
    reader = PostgresReader(blocking(url))
    try:
        return reader.read(Filter(**wanted))
    finally:
        reader.close()


def value(log: PostgresLog, query: str) -> Any:
    return log._run(lambda connection: connection.fetchval(query))


def test_what_was_written_is_read_newest_first(log: PostgresLog, postgres_url: str) -> None:
    log.write([make_record(id="a", cost=7, user="u"), make_record(id="b", ms=1.5)])
    found = read(postgres_url)

    assert [(call["number"], call["id"], call["cost"], call["user"], call["ms"]) for call in found] == [
        (2, "b", None, "", 1.5),
        (1, "a", 7, "u", 0.0),
    ]


def test_bodies_are_read_where_they_are_wanted(log: PostgresLog, postgres_url: str) -> None:
    log.write([make_record("question", "an\0swer", id="a"), make_record(id="b")])

    assert [(call["request"], call["answer"]) for call in read(postgres_url, bodies=True)] == [
        (None, None),
        ("question", "an\ufffdswer"),
    ]
    assert "request" not in read(postgres_url)[0]


def test_words_are_found_in_bodies(log: PostgresLog, ids: Any) -> None:
    log.write(
        [
            make_record("the weather in Oslo", "It rains.", id="a"),
            make_record("Oslo has weather; see api.example.com/a_b", "Straße, Ärger", id="b"),
        ]
    )

    assert ids(text="weather in oslo") == ["a"]
    assert ids(text="rains") == ["a"]
    assert ids(text="oslo") == ["b", "a"]
    assert ids(text="arger") == ids(text="ÄRGER") == ids(text="example.com") == ids(text="straße") == ["b"]
    assert ids(text="oslo it") == []


@pytest.mark.parametrize(
    "text", ['"', "rains OR oslo", "rains | oslo", "rain:*", "*", "a\0b", "'; DROP TABLE calls", "\\"]
)
def test_nothing_in_a_text_is_an_operator(log: PostgresLog, ids: Any, text: str) -> None:
    log.write([make_record("it rains", "oslo")])

    assert ids(text=text) == []


def test_words_are_not_found_where_they_were_not_indexed(postgres_url: str) -> None:
    log = opened(postgres_url, search=False)
    log.write([make_record("weather", None)])
    log.close()

    assert read(postgres_url, text="weather") == []
    assert len(read(postgres_url)) == 1


def test_a_long_body_is_kept_whole(log: PostgresLog, ids: Any) -> None:
    text = " ".join(f"w{number}" for number in range(300_000))
    log.write([make_record(text, "\U0001f600 ä" * 300_000, id="a")])

    assert ids(text="w0 w1") == ["a"]
    assert value(log, "SELECT length(request) FROM bodies") == len(text)


FILTERS: Any = {
    **dict.fromkeys(("tenant", "key", "org", "team", "user", "route", "model", "upstream", "id"), "x"),
    "result": "cut",
    "error": "x",
    "cache": "hit",
    "status": "5xx",
    "failed": "true",
    "since": "2h",
    "until": "1h",
    "slower_than": "2s",
    "text": "x",
    "before": "9",
    "after": "0",
    "bodies": "true",
}


def test_every_filter_is_asked_for(log: PostgresLog, postgres_url: str) -> None:
    fields = dict.fromkeys(("tenant", "key", "org", "team", "user", "route", "model", "upstream"), "x")
    fields |= {"error": "x", "cache": "hit", "result": "cut"}
    log.write([make_record(id="other")])
    log.write([make_record("x", None, id="x", status=500, at=NOW - 5400, ms=3000.0, **fields)])
    reader = PostgresReader(blocking(postgres_url))
    found = {
        name: [call["id"] for call in reader.read(read_filter({name: text}, NOW))]
        for name, text in FILTERS.items()
    }
    every = reader.read(read_filter(FILTERS, NOW))
    reader.close()

    assert [call["id"] for call in every] == ["x"]
    assert found.pop("before") == ["x", "other"]
    assert found.pop("after") == ["other", "x"]
    assert found.pop("bodies") == ["x", "other"]
    assert found.pop("since") == ["x", "other"]
    assert set(map(tuple, found.values())) == {("x",)}


def test_a_tenants_filter_binds_whatever_its_name(log: PostgresLog, ids: Any) -> None:
    log.write([make_record(id="a", tenant="a\0b"), make_record(id="b", tenant="' OR 1=1 --")])

    assert (ids(tenant="' OR 1=1 --"), ids(tenant="a\0b"), ids(tenant="")) == (["b"], ["a"], [])


def test_what_is_too_old_goes_with_its_bodies(log: PostgresLog, ids: Any) -> None:
    old, new = (
        make_record("weather", None, id=name, at=NOW - age) for name, age in (("old", 100), ("new", 1))
    )
    log.write([old])
    log.write([new])
    before = value(log, "SELECT bytes FROM used")

    assert log.tidy(50, None) is False
    assert ids(text="weather") == ["new"]
    assert value(log, "SELECT count(*) FROM bodies") == 1
    assert value(log, "SELECT bytes FROM used") == before / 2


def test_the_oldest_go_while_all_are_too_much(log: PostgresLog, ids: Any) -> None:
    log.write([make_record("x" * 500, None, id=str(number)) for number in range(1200)])
    used = value(log, "SELECT bytes FROM used")
    while log.tidy(None, used // 2):
        pass

    assert value(log, "SELECT count(*) FROM calls") == 200
    assert (ids(limit=1), ids(id="999")) == (["1199"], [])


def test_one_deletes_at_a_time(log: PostgresLog, postgres_url: str) -> None:
    log.write([make_record(at=NOW - 100)])
    other = blocking(postgres_url)
    snapshot = other.snapshot()
    list(snapshot.ask("SELECT pg_advisory_xact_lock(1819110253, hashtext(current_schema()))"))
    meanwhile = log.tidy(50, None), value(log, "SELECT count(*) FROM calls")
    snapshot.close()
    other.close()
    log.tidy(50, None)

    assert meanwhile == (False, 1)
    assert value(log, "SELECT count(*) FROM calls") == 0


@pytest.mark.parametrize("done", [True, False])
def test_a_batch_in_doubt_is_written_again_and_stands_once(log: PostgresLog, ids: Any, done: bool) -> None:
    records = [make_record("word", None, id="a")]
    log.write([make_record(id="first")])
    with unanswered_commits(done=done), pytest.raises(PostgresAway):
        log.write(records)
    between = ids()
    while True:
        try:
            log.write(records)
            break
        except PostgresAway:
            time.sleep(0.02)
    log.write([make_record(id="last")])

    assert between == (["a", "first"] if done else ["first"])
    assert ids() == ["last", "a", "first"]


def test_several_write_in_turn_and_who_follows_misses_none(postgres_url: str) -> None:
    first = opened(postgres_url)
    first.tidy(None, None)
    reader, seen, over = PostgresReader(blocking(postgres_url)), list[str](), threading.Event()

    def write(name: str) -> None:
        log = opened(postgres_url)
        for number in range(15):
            log.write([make_record("word", None, id=f"{name}{number}.{part}") for part in range(3)])
        log.close()

    def follow() -> None:
        last = 0
        while not over.is_set() or reader.newest() > last:
            for call in reader.read(Filter(after=last)):
                seen.append(call["id"])
                last = call["number"]

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    following = threading.Thread(target=follow)
    for thread in (*threads, following):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    following.join()
    reader.close()
    first.close()

    assert len(seen) == len(set(seen)) == 4 * 15 * 3


def test_where_there_is_no_log_that_is_told(postgres_url: str) -> None:
    with pytest.raises(NotALog, match="there is no log of calls"):
        read(postgres_url)
    with pytest.raises(NotALog, match="is away") as caught:
        read("postgres://me:secret@127.0.0.1:9/x")

    assert "secret" not in str(caught.value)


@given(st.text())
def test_words_are_letters_and_digits_alone(text: str) -> None:
    found = words(text)

    assert all(word.isalnum() for word in found.split())
    assert words(found) == found
