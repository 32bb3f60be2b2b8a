import threading

import pytest

from llmproxy.plugin import Metrics, PostgresAway
from llmproxy_calllog.writer import Busy, Meters, Writer

from .records import make_ended, make_record


class FakeSink:
    def __init__(self, *faults):
        self.faults = list(faults)
        self.records = []
        self.threads = set()
        self.tidied = []
        self.closed = threading.Event()

    def write(self, records):
        self.threads.add(threading.current_thread().name)
        if self.faults:
            raise self.faults.pop(0)
        self.records += records

    def tidy(self, keep, most):
        self.tidied.append((keep, most))
        return len(self.tidied) < 3

    def close(self):
        self.closed.set()


class FakeTeller:
    def record(self, ended, kept):
        if ended.id == "bad":
            raise ValueError("secret")
        return make_record(id=ended.id)


@pytest.fixture
def told():
    return []


@pytest.fixture
def metrics():
    return Metrics()


def make_writer(sink, metrics, told=None, limit=100, most=1000):
    return Writer(
        sink, Meters(metrics), lambda *words: (told if told is not None else []).append(words), limit, most
    )


def counted(metrics):
    lines = metrics.exposition([metrics.snapshot()]).splitlines()
    prefix = "llmproxy_calllog_records_total{outcome="
    return {
        line[len(prefix) + 1 :].split('"')[0]: float(line.split()[-1])
        for line in lines
        if line.startswith(prefix)
    }


def put(writer, *names, size=0):
    for name in names:
        writer.put(FakeTeller(), make_ended(id=name), None, size)


def test_what_was_put_is_written_by_a_thread_before_it_closes(metrics):
    sink = FakeSink()
    writer = make_writer(sink, metrics)
    writer.open()
    put(writer, "a", "b")
    writer.close()

    assert [each.call.id for each in sink.records] == ["a", "b"]
    assert sink.threads == {"calllog-writer"}
    assert sink.closed.is_set()
    assert counted(metrics)["written"] == 2


def test_what_does_not_fit_is_dropped_and_counted(metrics):
    sink = FakeSink()
    writer = make_writer(sink, metrics, limit=2)
    put(writer, "a", "b", "c")
    writer.open()
    writer.close()

    assert len(sink.records) == 2
    assert counted(metrics)["dropped"] == 1


def test_bodies_have_a_bound_of_their_own(metrics):
    sink = FakeSink()
    writer = make_writer(sink, metrics, most=10)
    put(writer, "a", "b", size=6)
    put(writer, "c")
    writer.open()
    writer.close()

    assert [each.call.id for each in sink.records] == ["a", "c"]


def test_room_for_bodies_comes_back(metrics):
    sink = FakeSink()
    writer = make_writer(sink, metrics, most=10)
    for name in "abc":
        put(writer, name, size=6)
        writer._drain()

    assert len(sink.records) == 3


def test_a_busy_database_is_asked_again(metrics):
    sink = FakeSink(Busy(), Busy())
    writer = make_writer(sink, metrics)
    put(writer, "a")
    writer._drain()

    assert len(sink.records) == 1


def test_what_fails_is_counted_and_told_of_once_a_minute(metrics, told):
    sink = FakeSink(OSError("secret"), OSError("secret"))
    writer = make_writer(sink, metrics, told)
    put(writer, "a")
    writer._drain()
    put(writer, "bad", "b")
    writer._drain()
    put(writer, "c")
    writer._drain()

    assert told == [("OSError", 1)]
    assert counted(metrics) == {"written": 1, "dropped": 0, "failed": 3}


def test_tidying_goes_on_in_steps_until_nothing_is_left(metrics):
    sink = FakeSink()
    writer = make_writer(sink, metrics)
    writer.ask_to_tidy(1.0, 2)
    writer._tidy()
    writer._tidy()

    assert sink.tidied == [(1.0, 2)] * 3


def test_while_the_database_is_away_the_queue_fills_and_nothing_else_is_lost(metrics, monkeypatch):
    monkeypatch.setattr("llmproxy_calllog.writer._AWAY", 0.01)
    sink, told = FakeSink(), []
    back = threading.Event()
    write = sink.write

    def away(records):
        if not back.is_set():
            raise PostgresAway("db", "ConnectionRefusedError")
        write(records)

    sink.write = away
    writer = make_writer(sink, metrics, told, limit=5)
    writer.open()
    writer.put(FakeTeller(), make_ended(id="first"))
    while writer._queue:
        threading.Event().wait(0.01)
    for number in range(8):
        writer.put(FakeTeller(), make_ended(id=str(number)))
    back.set()
    while len(sink.records) < 6:
        threading.Event().wait(0.01)
    writer.close()

    assert [record.call.id for record in sink.records] == ["first", "0", "1", "2", "3", "4"]
    assert counted(metrics) == {"written": 6, "dropped": 3, "failed": 0}
    assert told == []


def test_who_closes_does_not_wait_for_a_database_that_is_away(metrics, monkeypatch):
    sink, told = FakeSink(*[PostgresAway("db", "TimeoutError")] * 1000), []
    writer = make_writer(sink, metrics, told, limit=1000)
    for number in range(500):
        writer.put(FakeTeller(), make_ended(id=str(number)))
    writer.open()
    writer.close()

    assert sink.closed.is_set()
    assert counted(metrics) == {"written": 0, "dropped": 0, "failed": 500}
    assert [words[0] for words in told] == ["PostgresAway"]
