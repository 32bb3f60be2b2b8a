import multiprocessing
import os
import signal
import time

import pytest

from llmproxy.totals import Totals


@pytest.fixture
def totals():
    made = Totals(2)
    yield made
    made.close()


def in_a_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def append(data):
    return lambda kept: kept + data


def test_nothing_is_kept_at_first(totals):
    assert totals.read() == []


def test_a_change_sees_what_was_kept_before(totals):
    seen = []
    for data in (b"a", b"b", b"c"):
        totals.update(1, lambda kept, data=data: seen.append(kept) or kept + data)

    assert seen == [b"", b"a", b"ab"]
    assert totals.read() == [b"abc"]


def test_a_shorter_content_replaces_a_longer_one(totals):
    for data in (b"x" * 1000, b"y" * 900, b"z"):
        totals.update(0, lambda _, data=data: data)

    assert totals.read() == [b"z"]


def test_what_a_dead_process_wrote_stays(totals):
    os.waitpid(in_a_child(lambda: totals.update(0, append(b"theirs"))), 0)
    totals.update(0, append(b" and ours"))

    assert totals.read() == [b"theirs and ours"]


def test_a_process_killed_while_it_holds_the_lock_lets_go_of_it(totals):
    inside = multiprocessing.get_context("fork").Event()
    pid = in_a_child(lambda: totals.update(0, lambda kept: (inside.set(), time.sleep(30))[0] or kept))
    inside.wait()
    refused = totals.update(0, append(b"too early"))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    assert not refused
    assert totals.update(0, append(b"later"))
    assert totals.read() == [b"later"]


def test_a_half_written_file_leaves_the_version_before_it(totals):
    totals.update(0, append(b"first"))
    totals.update(0, append(b" second"))
    newest = totals._files[0][0]
    os.ftruncate(newest, 18)

    assert totals.read() == [b"first"]
    assert totals.update(0, append(b" again"))
    assert totals.read() == [b"first again"]


def test_workers_of_one_slot_lose_nothing(totals):
    pids = [in_a_child(lambda: [totals.update(0, append(b"+")) for _ in range(50)]) for _ in range(2)]
    for pid in pids:
        os.waitpid(pid, 0)

    assert totals.read() == [b"+" * 100]


def test_a_fault_in_a_change_keeps_the_content_and_lets_go(totals):
    totals.update(0, append(b"kept"))

    with pytest.raises(ZeroDivisionError):
        totals.update(0, lambda kept: kept * (1 // 0))
    assert totals.read() == [b"kept"]
    os.waitpid(in_a_child(lambda: totals.update(0, append(b" on"))), 0)
    assert totals.read() == [b"kept on"]


def test_a_system_without_memory_files_uses_unlinked_ones(monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    totals = Totals(1)
    totals.update(0, append(b"kept"))

    assert totals.read() == [b"kept"]
    totals.close()
