import asyncio
from types import SimpleNamespace

import pytest

from llmproxy.plugin import Clock, LogSink, Metrics, PostgresUrl, StartError
from llmproxy_calllog.database import Database
from llmproxy_calllog.filtering import Filter
from llmproxy_calllog.lines import Files, Output
from llmproxy_calllog.opening import Place, open_reader, open_sink, open_writer

from .records import make_record


def place(to, path):
    return Place(to, str(path), search=True, queue=10, queue_size=1000, rotate_at=10_000)


@pytest.fixture
def lines():
    return []


@pytest.fixture
def runtime(lines):
    return SimpleNamespace(name="calllog", clock=Clock(), metrics=Metrics(), sink=LogSink(lines.append))


async def test_a_postgres_is_written_and_read(runtime, postgres_url):
    url = PostgresUrl(postgres_url)
    teller = SimpleNamespace(record=lambda ended, kept: make_record(id="a"))
    runtime.log = SimpleNamespace(info=print, error=print)
    async with open_writer(place("postgres", "")._replace(url=url), runtime) as writer:
        writer.put(teller, None)
    reader = await asyncio.to_thread(open_reader, None, url)
    found = await asyncio.to_thread(reader.read, Filter())
    await asyncio.to_thread(reader.close)

    assert [call["id"] for call in found] == ["a"]


def test_a_place_is_shown_without_a_password(tmp_path):
    url = PostgresUrl("postgres://me:secret@db/calls")

    assert place("postgres", "")._replace(url=url).shown == "db/calls"
    assert place("sqlite", tmp_path).shown == str(tmp_path)


@pytest.mark.parametrize(("to", "kind"), [("sqlite", Database), ("jsonl", Files), ("stdout", Output)])
def test_records_go_where_the_configuration_says(tmp_path, runtime, monkeypatch, to, kind):
    monkeypatch.setattr("sys.stdout", SimpleNamespace(fileno=lambda: 1))
    sink = open_sink(place(to, tmp_path / "calls"), runtime)
    sink.close()

    assert isinstance(sink, kind)


async def test_a_writer_is_open_while_it_is_held(tmp_path, runtime):
    teller = SimpleNamespace(record=lambda ended, kept: make_record())
    async with open_writer(place("jsonl", tmp_path / "calls"), runtime) as writer:
        writer.put(teller, None)

    assert len((tmp_path / "calls").read_bytes().splitlines()) == 1


async def test_what_is_something_elses_is_refused_at_the_start(tmp_path, runtime):
    (tmp_path / "calls").write_bytes(b"something else, as long as a page of it might be")

    with pytest.raises(StartError, match=r"plugin 'calllog': .* cannot be used: NotADBError"):
        async with open_writer(place("sqlite", tmp_path / "calls"), runtime):
            pass


async def test_what_cannot_be_written_is_told_in_the_log_without_its_text(tmp_path, runtime, lines):
    def fail(ended, kept):
        raise ValueError("secret")

    async with open_writer(place("jsonl", tmp_path / "calls"), runtime) as writer:
        writer.put(SimpleNamespace(record=fail), None)

    assert b"calllog_not_written" in lines[0]
    assert b"secret" not in lines[0]
