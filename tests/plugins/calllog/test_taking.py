import asyncio
import gc
import weakref
from types import SimpleNamespace

import pytest

from llmproxy.plugin import ARM, Arm, Attempt, Caller, Endpoint, GatewayError, UpstreamError, Usage
from llmproxy.testing import make_exchange
from llmproxy_calllog.copies import Copy
from llmproxy_calllog.taking import Watched, failure, kept, take, tried


def test_the_values_of_an_exchange_are_taken():
    exchange = make_exchange(caller=Caller("acme", "web"), model="fast", streamed=True, started=1.0)
    exchange.client_face = SimpleNamespace(wire="openai")
    exchange.outcome.status, exchange.outcome.result, exchange.outcome.ended = 200, "ok", 2.0
    exchange.state[ARM] = Arm("pool", "b", sticky=False)
    ended = take(exchange, 100.0, Watched("off", None, b"gw; hit"))

    assert (ended.wall, ended.dialect, ended.model, ended.status) == (100.0, "openai", "fast", 200)
    assert (ended.caller.key, ended.cache_status, str(ended.arm)) == ("web", b"gw; hit", "pool=b")


def test_a_path_is_taken_where_a_dialect_is_spoken_and_never_its_query():
    plain, spoken = make_exchange(path="/bot-secret/x"), make_exchange(path="/v1/chat/completions?key=secret")
    spoken.client_face = SimpleNamespace(wire="openai")

    assert (take(plain, 0.0, None).path, take(spoken, 0.0, None).path) == ("", "/v1/chat/completions")


def test_no_state_is_made_for_an_exchange_without():
    exchange = make_exchange()
    take(exchange, 0.0, None)

    assert exchange._state is None


def test_attempts_are_taken_without_what_they_failed_with():
    class Fault(Exception):
        pass

    fault = Fault()
    seen = weakref.ref(fault)
    attempts = [
        Attempt(1, Endpoint("main"), 1.0, error=fault),
        Attempt(2, Endpoint("main"), 2.0, status=200, usage=Usage(1)),
    ]
    values = tried(attempts)
    del fault, attempts
    gc.collect()

    assert [each.failure for each in values] == ["fault", ""]
    assert seen() is None


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        ({"status": 429}, "rate_limit"),
        ({"status": 503}, "overloaded"),
        ({"error": asyncio.CancelledError()}, "given_up"),
        ({"error": ConnectionAbortedError()}, "given_up"),
        ({"error": ValueError("secret")}, "fault"),
        ({"error": UpstreamError("upstream_unreachable", "x", phase="connect", sent=False)}, "connect"),
        ({"error": GatewayError(500, "odd", "x")}, "fault"),
    ],
)
def test_a_failure_is_told_by_its_kind(known, kind):
    assert failure(Attempt(1, Endpoint("main"), 1.0, **known)) == kind


async def test_a_body_is_taken_to_its_bound_with_the_callers_credentials():
    exchange = make_exchange(
        body=b"abcdef", headers={"Authorization": "Bearer x", "Content-Type": "text/plain"}
    )
    await exchange.body()
    values = kept(exchange, Watched("redacted", Copy(b"", b"", 1), b""), 4)

    assert (values.request, values.request_size, values.request_type) == (b"abcd", 6, b"text/plain")
    assert values.credentials == (b"Bearer x",)


def test_a_body_that_nobody_read_is_not_there():
    assert kept(make_exchange(body=b"abc"), Watched("full", None, b""), 4).request is None
