import os
import threading
import time

import apsw
import pytest

from llmproxy_ledger.books import FILE, Books
from llmproxy_ledger.journal import Journal, JournalFault, journals, segments
from llmproxy_ledger.posting import Poster, Posting

from .stage import rows
from .test_books import PRICES, intended, settled


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path, segment=2000, every=0.01, rows=100)


def dead(journal):
    """Have the journal as if its process had been killed."""
    journal.close()
    os.close(journal._lock_file)


def test_what_is_posted_is_in_the_database_and_full_segments_are_gone(tmp_path, journal):
    posting = Posting(tmp_path)
    for number in range(40):
        journal.intend(settled(f"{number:02}"))
    posted = posting.post(journal)
    again = posting.post(journal)
    left = segments(tmp_path, journal.name)
    journal.close()
    posting.finish(journal)
    journal.leave()
    posting.close()

    assert (posted, again) == (40, 0)
    assert left == [journal.current]
    assert [row["entry"] for row in rows(tmp_path)] == [f"{number:02}" for number in range(40)]
    assert [path.name for path in tmp_path.glob("*.journal")] + journals(tmp_path) == []


def test_a_call_that_outlives_its_segment_stands_in_the_database(tmp_path, journal):
    posting = Posting(tmp_path)
    journal.intend(intended("long"))
    before = posting.post(journal)
    current = journal.current
    while journal.current == current:
        journal.put(settled(journal.entry()))
    posting.post(journal)
    gone = not current.exists()
    dead(journal)
    lost = Posting(tmp_path).take_over()  # by another process
    posting.close()
    found = {row["entry"]: row["state"] for row in rows(tmp_path)}

    assert (before, gone, lost) == (0, True, 1)
    assert found.pop("long") == "unknown"
    assert set(found.values()) == {"exact"}


def test_a_database_elsewhere_hears_of_each_call_that_has_begun(tmp_path, journal):
    class Elsewhere(Books):
        apart = True

    elsewhere = Elsewhere(tmp_path / FILE)
    posting = Posting(tmp_path, books=lambda: elsewhere)
    journal.intend(intended("a"))
    posting.post(journal)
    begun = list(elsewhere.ask("SELECT entry FROM intents"))
    journal.put(settled("a"))
    posting.post(journal)
    ended = list(elsewhere.ask("SELECT entry FROM intents"))
    dead(journal)
    posting.close()

    assert (begun, ended) == ([("a",)], [])


def test_more_than_is_remembered_is_read(tmp_path, journal, monkeypatch):
    monkeypatch.setattr("llmproxy_ledger.remembering.MOST", 10)
    posting = Posting(tmp_path)
    for number in range(40):
        journal.put(settled(f"{number:02}"))
    journal.intend(intended("long"))
    many = posting.post(journal)
    journal.put(settled("last"))
    few = posting.post(journal)
    journal.close()
    finished = posting.finish(journal)
    posting.close()

    assert (many, few, finished) == (40, 1, (0, 1))
    assert len(rows(tmp_path)) == 42


def test_the_journal_of_a_dead_process_is_taken_over(tmp_path, journal):
    for record in (PRICES, intended("a"), settled("a"), intended("b")):
        journal.intend(record)
    posting = Posting(tmp_path)
    alive = posting.take_over()
    dead(journal)
    lost = posting.take_over()
    posting.close()

    assert (alive, lost) == (0, 1)
    assert [(row["entry"], row["state"]) for row in rows(tmp_path)] == [("a", "exact"), ("b", "unknown")]
    assert journals(tmp_path) == []


def test_what_is_broken_in_a_journal_is_kept_for_a_person(tmp_path, journal):
    faults = []
    journal.intend(settled("a"))
    dead(journal)
    (path,) = segments(tmp_path, journal.name)
    with path.open("ab") as file:
        file.write(b"spoilt")
    posting = Posting(tmp_path, faults.append)
    posting.take_over()
    posting.close()

    assert [row["entry"] for row in rows(tmp_path)] == ["a"]
    assert len(list(tmp_path.glob("*.broken"))) == 1
    assert "cannot be read" in str(faults[0])


def test_while_the_database_is_away_the_journal_is_kept(tmp_path, journal):
    (tmp_path / FILE).mkdir()
    posting = Posting(tmp_path)
    journal.intend(settled("a"))
    with pytest.raises(apsw.CantOpenError):
        posting.post(journal)
    (tmp_path / FILE).rmdir()
    posted = posting.post(journal)
    journal.close()
    posting.finish(journal)
    journal.leave()
    posting.close()

    assert posted == 1
    assert [row["entry"] for row in rows(tmp_path)] == ["a"]


def test_the_thread_posts_again_after_a_failure(tmp_path, journal):
    (tmp_path / FILE).mkdir()
    posted, faults, safe = [], [], threading.Event()

    def count(rows):
        posted.append(rows)
        if sum(posted) == 1:
            safe.set()

    posting = Posting(tmp_path)
    journal.intend(settled("a"))
    poster = Poster(journal, posting, 0.01, count, faults.append)
    while not faults:
        time.sleep(0.005)
    (tmp_path / FILE).rmdir()
    done = safe.wait(10)
    poster.close()
    journal.close()
    posting.finish(journal)
    journal.leave()
    posting.close()

    assert done
    assert isinstance(faults[0], apsw.CantOpenError)


def test_the_thread_goes_on_where_journals_cannot_be_looked_at(tmp_path, journal, monkeypatch):
    faults, held, looked = [], [], threading.Event()
    posting = Posting(tmp_path)

    def once():
        if not faults:
            raise PermissionError(13, "Permission denied")
        return 7

    monkeypatch.setattr(posting, "held", once)
    poster = Poster(
        journal, posting, 0.01, print, faults.append, lambda size, full: held.append(size) or looked.set()
    )
    done = looked.wait(10)
    poster.close()
    dead(journal)
    posting.close()

    assert done
    assert (len(faults), held[0]) == (1, 7)


def test_a_journal_is_full_while_all_of_them_hold_more_than_the_limit(tmp_path, journal):
    full = []
    posting = Posting(tmp_path)
    poster = Poster(journal, posting, 60.0, print, print, lambda size, there: full.append(there), 1000)
    poster.post()
    other = tmp_path / "another-00000001.journal"
    other.write_bytes(b"x" * 2000)
    poster.post()
    with pytest.raises(JournalFault, match="reached their limit"):
        journal.intend(intended("a"))
    journal.put(settled("b"))
    other.unlink()
    poster.post()
    journal.intend(settled("c"))
    poster.post()
    poster.close()
    dead(journal)
    posting.close()

    assert full == [False, True, False, False]
    assert [row["entry"] for row in rows(tmp_path)] == ["b", "c"]


def test_what_is_away_is_asked_before_a_journal_is_read(tmp_path, journal):
    class Away:
        def ready(self):
            raise ConnectionError

    journal.intend(settled("a"))
    posting = Posting(tmp_path, books=Away)
    for path in segments(tmp_path, journal.name):
        path.chmod(0)
    with pytest.raises(ConnectionError):
        posting.post(journal)
    dead(journal)


def test_what_is_written_while_others_are_posted_waits_for_the_next_time(tmp_path, journal):
    class Busy(Books):
        def post(self, records):
            journal.intend(settled(f"more-{journal.entry()}"))
            return super().post(records)

    journal.intend(settled("a"))
    posting = Posting(tmp_path, books=lambda: Busy(tmp_path / FILE))
    posted = [posting.post(journal) for _ in range(3)]
    posting.close()
    dead(journal)

    assert posted == [1, 1, 1]


def test_a_segment_that_begins_while_others_are_looked_for_is_not_taken_for_full(tmp_path, journal):
    posting = Posting(tmp_path)
    journal.intend(settled("a"))
    current = journal.current
    while journal.current == current:  # another thread fills the segment just now
        journal.intend(settled(journal.entry()))
    posting._post_all(journal.name, current)
    there = journal.current.exists()
    journal.intend(settled("last"))
    posting.post(journal)
    posting.close()
    dead(journal)

    assert there
    assert "last" in [row["entry"] for row in rows(tmp_path)]


def test_one_journal_that_cannot_be_posted_keeps_no_other_from_it(tmp_path):
    class Picky(Books):
        def post(self, records):
            records = list(records)
            if any(name == first.name for name, _ in records):
                raise ValueError("not these")
            return super().post(records)

    both = [Journal(tmp_path, segment=2000, every=0.01, rows=100) for _ in range(2)]
    first, second = sorted(both, key=lambda each: each.name)
    for each in both:
        each.intend(settled(each.name))
        dead(each)
    faults = []
    posting = Posting(tmp_path, faults.append, books=lambda: Picky(tmp_path / FILE))
    posting.take_over()
    posting.close()

    assert [str(fault) for fault in faults] == ["not these"]
    assert [row["entry"] for row in rows(tmp_path)] == [second.name]
    assert journals(tmp_path) == [first.name]


def test_calls_that_are_open_when_a_journal_ends_are_given_up(tmp_path, journal):
    for record in (PRICES, intended("a"), settled("b")):
        journal.intend(record)
    posting = Posting(tmp_path)
    journal.close()
    posted, lost = posting.finish(journal)
    journal.leave()
    posting.close()

    assert (posted, lost) == (1, 1)
    assert [(row["entry"], row["state"]) for row in rows(tmp_path)] == [("a", "unknown"), ("b", "exact")]
