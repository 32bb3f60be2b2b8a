import os
import signal
import threading
from pathlib import Path

import pytest

from llmproxy.plugin import Settlement
from llmproxy_ledger.journal import LOCK, Journal, JournalFault, claim, journals, segments
from llmproxy_ledger.records import PriceList, Row, read

ROW = Settlement(id="e/1", exchange="e", at=1.0, tenant="t")


def opened(directory: Path, segment: int = 1 << 20, rows: int = 10**6, **more) -> Journal:
    return Journal(directory, segment=segment, every=0.01, rows=rows, **more)


def written(directory: Path, name: str) -> list[str]:
    data = b"".join(path.read_bytes() for path in segments(directory, name))
    return [getattr(each.record, "entry", "") for each in read(data)]


@pytest.fixture
def journal(tmp_path):
    journal = opened(tmp_path)
    yield journal
    journal.close()
    journal.leave()


def test_what_is_written_is_in_the_file_at_once(journal, tmp_path):
    journal.put(Row("a", ROW, "told"))
    journal.intend(Row("b", ROW, "told"))

    assert written(tmp_path, journal.name) == ["a", "b"]


def test_what_is_written_is_synced_soon(journal, monkeypatch):
    synced = threading.Event()
    monkeypatch.setattr("llmproxy_ledger.journal.os.fdatasync", lambda descriptor: synced.set())
    journal.put(Row("a", ROW, "told"))

    assert synced.wait(10)


def test_names_of_entries_are_told_once_each(tmp_path):
    one, other = opened(tmp_path), opened(tmp_path)
    names = [journal.entry() for journal in (one, other) for _ in range(3)]
    for journal in (one, other):
        journal.close()
        journal.leave()

    assert len(set(names)) == 6


def test_a_full_segment_is_followed_by_another(tmp_path):
    journal = opened(tmp_path, segment=500)
    for number in range(20):
        journal.intend(Row(f"{number}", ROW, "told"))
    files = segments(tmp_path, journal.name)
    journal.close()
    journal.leave()

    assert len(files) > 5
    assert written(tmp_path, journal.name) == [str(number) for number in range(20)]


def test_prices_are_listed_once(journal, tmp_path):
    journal.list_price(PriceList("v", ()))
    journal.list_price(PriceList("v", ()))
    journal.flush()

    assert len(written(tmp_path, journal.name)) == 1


def test_what_cannot_be_written_whole_leaves_nothing_behind(tmp_path, monkeypatch):
    faults = []
    journal = opened(tmp_path, faulty=faults.append)
    journal.intend(Row("a", ROW, "told"))
    write, calls = os.write, []

    def partly(descriptor, data):
        calls.append(data)
        if len(calls) == 1:
            return write(descriptor, data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("llmproxy_ledger.journal.os.write", partly)
        with pytest.raises(JournalFault):
            journal.intend(Row("b", ROW, "told"))
    journal.intend(Row("c", ROW, "told"))
    journal.close()
    journal.leave()

    assert written(tmp_path, journal.name) == ["a", "c"]
    assert [str(fault) for fault in faults] == ["[Errno 28] No space left on device"]


def test_what_was_put_waits_while_nothing_can_be_written(tmp_path, monkeypatch):
    faults, dropped = [], []
    journal = opened(tmp_path, faulty=faults.append, dropped=lambda: dropped.append(1))
    journal.put(Row("before", ROW, "told"))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("llmproxy_ledger.journal.os.write", full)
        journal.put(Row("meanwhile", ROW, "told"))
        journal.flush()
        patched.setattr("llmproxy_ledger.journal.MOST_WAITING", 0)
        journal.put(Row("too much", ROW, "told"))
    journal.close()
    journal.leave()

    assert written(tmp_path, journal.name) == ["before", "meanwhile"]
    assert len(dropped) == 1
    assert isinstance(faults[0], OSError)


def test_a_journal_is_nobody_else_s_while_its_process_lives(journal, tmp_path):
    assert journals(tmp_path) == [journal.name]
    assert claim(tmp_path / (journal.name + LOCK)) is None
    assert claim(tmp_path / ("gone" + LOCK)) is None


def test_a_killed_process_leaves_its_journal_to_whoever_takes_it(tmp_path):
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        mine = opened(tmp_path)
        mine.intend(Row("a", ROW, "told"))
        os.write(tell, mine.name.encode())
        signal.pause()
    name = os.read(ready, 100).decode()
    held_before = claim(tmp_path / (name + LOCK))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    held = claim(tmp_path / (name + LOCK))
    for descriptor in (ready, tell, held):
        os.close(descriptor)

    assert held_before is None
    assert written(tmp_path, name) == ["a"]


def test_nobody_else_may_read_it(journal, tmp_path):
    assert [path.stat().st_mode & 0o077 for path in tmp_path.iterdir()] == [0, 0]


def test_what_comes_after_its_end_touches_no_file(tmp_path):
    dropped = []
    journal = opened(tmp_path, dropped=lambda: dropped.append(1))
    journal.intend(Row("a", ROW, "told"))
    journal.close()
    others = [(tmp_path / f"other-{number}").open("w+b") for number in range(8)]
    for file in others:
        file.write(b"somebody else's")
        file.flush()
    journal.put(Row("late", ROW, "told"))
    with pytest.raises(JournalFault):
        journal.intend(Row("later", ROW, "told"))
    journal.flush()
    journal.leave()
    kept = [file.seek(0) or file.read() for file in others]
    for file in others:
        file.close()

    assert set(kept) == {b"somebody else's"}
    assert written(tmp_path, journal.name) == ["a"]
    assert len(dropped) == 1


def test_a_call_that_is_written_down_leaves_though_no_next_segment_can_be_made(tmp_path, monkeypatch):
    faults = []
    journal = opened(tmp_path, segment=300, faulty=faults.append)

    def none(*_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("llmproxy_ledger.journal.os.open", none)
        for number in range(4):
            journal.intend(Row(f"{number}", ROW, "told"))
        journal.flush()
        few = len(segments(tmp_path, journal.name))
    for number in range(4, 8):
        journal.intend(Row(f"{number}", ROW, "told"))
    journal.close()
    journal.leave()

    assert few == 1
    assert len(segments(tmp_path, journal.name)) > 2
    assert written(tmp_path, journal.name) == [str(number) for number in range(8)]
    assert [str(fault) for fault in faults] == ["[Errno 24] Too many open files"] * len(faults) != []


def test_threads_that_close_full_segments_at_once_do_not_stumble(tmp_path):
    journal = opened(tmp_path, segment=300)
    faults = []

    def flushing():
        try:
            for _ in range(300):
                journal.flush()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=flushing) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(300):
        journal.put(Row(f"{number}", ROW, "told"))
    for thread in threads:
        thread.join()
    alive = journal._thread.is_alive()
    journal.close()
    journal.leave()

    assert (faults, alive) == ([], True)
