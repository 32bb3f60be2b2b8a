import sqlite3
import subprocess
import sys
import threading

import apsw
import pytest

from llmproxy_calllog.database import Database, NotALog, Reader
from llmproxy_calllog.filtering import Filter
from llmproxy_calllog.writer import Busy

from .records import NOW, make_record


@pytest.fixture
def path(tmp_path):
    return tmp_path / "calls.db"


@pytest.fixture
def database(path):
    opened = Database(path, search=True, wall=lambda: NOW)
    yield opened
    opened.close()


def read(path, **wanted):
    reader = Reader(path)
    try:
        return reader.read(Filter(**wanted))
    finally:
        reader.close()


def ids(path, **wanted):
    return [call["id"] for call in read(path, **wanted)]


def test_what_was_written_is_read_newest_first(database, path):
    database.write([make_record(id="a", cost=7), make_record(id="b")])

    assert [(call["number"], call["id"], call["cost"]) for call in read(path)] == [
        (2, "b", None),
        (1, "a", 7),
    ]


def test_the_file_is_its_owners_alone(database, path):
    database.write([make_record()])

    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}


def test_a_file_is_opened_again(database, path):
    database.write([make_record(id="a")])
    other = Database(path, search=True, wall=lambda: NOW)
    other.write([make_record(id="b")])
    other.close()

    assert ids(path) == ["b", "a"]


def test_bodies_are_read_where_they_are_wanted(database, path):
    database.write([make_record("question", "answer", id="a"), make_record(id="b")])

    assert [(call["request"], call["answer"]) for call in read(path, bodies=True)] == [
        (None, None),
        ("question", "answer"),
    ]
    assert "request" not in read(path)[0]


def test_words_are_found_in_bodies(database, path):
    database.write(
        [
            make_record("the weather in Oslo", "It rains.", id="a"),
            make_record("Oslo has weather", None, id="b"),
        ]
    )

    assert ids(path, text="weather in oslo") == ["a"]
    assert ids(path, text="rains") == ["a"]
    assert ids(path, text="oslo") == ["b", "a"]


@pytest.mark.parametrize(
    "text", ['"', "rains OR oslo", "NEAR(a b)", "request:rains", "*", "a\0b", "'; DROP TABLE calls"]
)
def test_nothing_in_a_text_is_an_operator(database, path, text):
    database.write([make_record("it rains", "oslo")])

    assert ids(path, text=text) == []


def test_words_are_not_found_where_they_were_not_indexed(path):
    database = Database(path, search=False, wall=lambda: NOW)
    database.write([make_record("weather", None)])
    database.close()

    assert ids(path, text="weather") == []
    assert len(ids(path)) == 1


def test_pages_go_down_and_up(database, path):
    database.write([make_record(id=name) for name in "abcde"])

    assert ids(path, before=4, limit=2) == ["c", "b"]
    assert ids(path, after=2, limit=2) == ["c", "d"]


def test_what_is_too_old_goes_with_its_bodies_and_their_words(database, path):
    database.write(
        [
            make_record("weather", None, id="old", at=NOW - 100),
            make_record("weather", None, id="new", at=NOW - 10),
        ]
    )

    assert database.tidy(50, None) is False
    assert ids(path, text="weather") == ["new"]
    assert database._db.execute("SELECT count(*) FROM bodies").get == 1


def test_deleting_goes_in_small_steps(database, path):
    database.write([make_record(at=NOW - 100) for _ in range(1100)])
    steps = []
    while database.tidy(50, None):
        steps.append(len(ids(path, limit=1000)))

    assert steps == [600, 100]
    assert ids(path) == []


def test_the_oldest_go_while_all_are_too_much_and_the_file_shrinks(database, path):
    for batch in range(10):
        database.write([make_record("x" * 2000, None, id=f"{batch}") for _ in range(200)])
    before = database.used()
    while database.tidy(None, before // 2):
        pass

    assert database.used() <= before // 2
    assert ids(path, limit=1) == ["9"]
    assert ids(path, id="0") == []


def test_a_failed_batch_leaves_nothing(database, path):
    with pytest.raises((TypeError, apsw.Error)):
        database.write([make_record(id="a"), make_record(id=object())])

    assert ids(path) == []


def test_several_writers_take_turns(path):
    def write(name):
        database = Database(path, search=True, wall=lambda: NOW)
        for number in range(20):
            database.write([make_record("word", None, id=f"{name}{number}")])
        database.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(ids(path, limit=1000))) == 80
    assert len(ids(path, text="word", limit=1000)) == 80


def test_opening_it_again_takes_no_lock_away(database, path):
    database._db.execute("BEGIN IMMEDIATE")
    other = Database(path, search=True, wall=lambda: NOW)
    other._db.set_busy_timeout(1)
    with pytest.raises(Busy):
        other.write([make_record()])
    stranger = subprocess.run(
        [sys.executable, "-c", f"import apsw; apsw.Connection({str(path)!r}).execute('BEGIN IMMEDIATE')"],
        capture_output=True,
        text=True,
        check=False,
    )
    other.close()
    database._db.execute("ROLLBACK")

    assert "BusyError" in stranger.stderr


def test_many_may_open_a_new_file_at_once(path):
    opened, gate = [], threading.Barrier(8)

    def enter():
        gate.wait()
        opened.append(Database(path, search=True, wall=lambda: NOW))

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in opened:
        each.write([make_record()])
        each.close()

    assert len(ids(path)) == 8


def test_a_database_that_somebody_holds_is_busy(database, path):
    database._db.set_busy_timeout(1)
    holder = apsw.Connection(str(path))
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy):
        database.write([make_record()])
    holder.close()
    database.write([make_record()])

    assert len(ids(path)) == 1


def test_a_database_of_something_else_is_left_alone(path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (a)")
    other.close()

    with pytest.raises(NotALog, match="something else"):
        Database(path, search=True, wall=lambda: NOW)
    with pytest.raises(NotALog, match="no log of calls"):
        Reader(path)


def test_a_file_of_another_version_is_refused(database, path):
    database._db.pragma("user_version", 99)

    with pytest.raises(NotALog, match="another version"):
        Reader(path)


def test_what_is_no_database_is_refused(path):
    with pytest.raises(NotALog, match="No such file"):
        Reader(path)
    path.write_text("not a database, though it is long enough to be looked at by anybody")
    with pytest.raises(NotALog, match="cannot read it"):
        Reader(path)


def test_the_newest_number_is_known(database, path):
    reader = Reader(path)
    before = reader.newest()
    database.write([make_record(), make_record()])

    assert (before, reader.newest()) == (0, 2)
    reader.close()
