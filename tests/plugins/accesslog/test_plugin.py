import threading
from types import SimpleNamespace

import orjson
import pytest

from llmproxy.log import LEVELS, LogSink
from llmproxy.plugin import ClientRequest, Exchange, Headers
from llmproxy.registry import HookTable
from llmproxy_accesslog import AccessLogPlugin
from llmproxy_accesslog.config import AccessLogConfig


@pytest.fixture
def written():
    return []


@pytest.fixture
def sink(written):
    return LogSink(lambda data: written.extend(map(orjson.loads, data.splitlines())))


def make_plugin(**config):
    return AccessLogPlugin("accesslog", AccessLogConfig(**config))


def make_exchange(status=200, result="ok", target="/v1/models?a=1"):
    route = SimpleNamespace(name="models")
    exchange = Exchange(ClientRequest("GET", target, Headers()), route, "id", 1.0)
    exchange.outcome.status, exchange.outcome.result, exchange.outcome.ended = status, result, 2.0
    return exchange


async def log(plugin, sink, *exchanges):
    async with plugin.lifespan(SimpleNamespace(sink=sink)):
        for exchange in exchanges:
            await plugin.post_response(exchange)


def test_the_registry_accepts_its_hooks():
    table = HookTable([make_plugin()])

    assert len(table.methods("post_response")) == len(table.methods("lifespan")) == 1


async def test_an_exchange_is_one_line(sink, written):
    await log(make_plugin(), sink, make_exchange())
    (line,) = written

    assert (line["level"], line["event"], line["id"], line["status"]) == ("info", "exchange", "id", 200)


async def test_the_line_is_made_in_the_logs_thread(sink, written, monkeypatch):
    plugin, threads = make_plugin(), []
    made = plugin._line.fields
    monkeypatch.setattr(
        plugin._line, "fields", lambda ended: threads.append(threading.current_thread().name) or made(ended)
    )
    sink.open()
    await log(plugin, sink, make_exchange())
    sink.close()

    assert threads == ["log-writer"]
    assert len(written) == 1


FAILURES = [(500, "refused"), (502, "upstream_error"), (200, "cut"), (503, "answered")]
OTHERS = [(200, "ok"), (404, "ok"), (401, "answered"), (0, "client_gone"), (200, "hit")]


@pytest.mark.parametrize(("status", "result"), FAILURES)
async def test_a_failure_is_a_warning(sink, written, status, result):
    await log(make_plugin(level="warning"), sink, make_exchange(status, result))

    assert [line["level"] for line in written] == ["warning"]


@pytest.mark.parametrize(("status", "result"), OTHERS)
async def test_level_warning_logs_nothing_but_failures(sink, written, status, result):
    await log(make_plugin(level="warning"), sink, make_exchange(status, result))

    assert written == []


async def test_a_log_set_to_warning_gets_failures_only(sink, written):
    sink.level = LEVELS["warning"]
    await log(make_plugin(), sink, *(make_exchange(*each) for each in FAILURES + OTHERS))

    assert [(line["status"], line["result"]) for line in written] == FAILURES


async def test_a_sample_of_none_keeps_every_error(sink, written):
    await log(make_plugin(sample=0), sink, *(make_exchange(*each) for each in FAILURES + OTHERS))

    assert [line["status"] for line in written] == [500, 502, 200, 503, 404, 401]


async def test_a_sample_keeps_about_its_share(sink, written):
    await log(make_plugin(sample=0.5), sink, *(make_exchange() for _ in range(400)))

    assert 100 < len(written) < 300


async def test_the_path_can_be_kept_out_with_its_query(sink, written):
    await log(make_plugin(path=False, omit=("method",)), sink, make_exchange())

    assert not written[0].keys() & {"path", "query", "method"}
