from asyncio import CancelledError
from types import SimpleNamespace

import pytest

from llmproxy.plugin import (
    Attempt,
    Caller,
    ClientRequest,
    Endpoint,
    Exchange,
    Headers,
    Pool,
    ProviderError,
    UpstreamError,
    Usage,
)
from llmproxy_accesslog.line import OPTIONAL_FIELDS, Line, client_address, query_names, take


def make_exchange(target="/v1/chat/completions?user=ann&token=sekret"):
    headers = Headers.of({"Authorization": "Bearer sekret", "X-Any": "sekret"})
    request = ClientRequest("POST", target, headers, client="10.1.2.3")
    exchange = Exchange(request, SimpleNamespace(name="models"), "id-1", 100.0)
    exchange.caller = Caller("shop", "web")
    exchange.model = "fast"
    exchange.trace = "4bf9"
    exchange.usage = Usage(input=3, output=5)
    exchange.attempts = [
        Attempt(1, Endpoint("main"), 100.0, status=429),
        Attempt(2, Endpoint("main"), 100.1, error=UpstreamError("x", "sekret", phase="headers", sent=True)),
        Attempt(3, Endpoint("spare"), 100.2, status=200, error=ValueError("sekret")),
    ]
    outcome = exchange.outcome
    outcome.status, outcome.result, outcome.cache = 200, "ok", "miss"
    outcome.bytes_in, outcome.bytes_out = 10, 20
    outcome.first_byte_at, outcome.ended = 100.25, 100.5
    return exchange


def fields(exchange, omit=(), client="full"):
    return Line(omit, client).fields(take(exchange))


def test_a_line_tells_who_asked_who_answered_and_how_it_ended():
    assert fields(make_exchange()) == {
        "id": "id-1",
        "route": "models",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query": ["user", "token"],
        "status": 200,
        "result": "ok",
        "cache": "miss",
        "tenant": "shop",
        "key": "web",
        "model": "fast",
        "upstream": "spare",
        "attempts": ["main:429", "main:headers", "spare:ValueError"],
        "usage": {"input": 3, "output": 5},
        "bytes_in": 10,
        "bytes_out": 20,
        "ms": 500.0,
        "first_byte_ms": 250.0,
        "client": "10.1.2.3",
        "trace": "4bf9",
    }


def test_no_header_no_body_and_no_query_value_is_told():
    exchange = make_exchange()
    exchange.set_body(b"sekret")

    assert "sekret" not in repr(take(exchange)._replace(query=""))
    assert "sekret" not in repr(fields(exchange))


def test_what_is_empty_is_left_out_but_for_route_status_and_result():
    exchange = Exchange(ClientRequest("GET", "/", Headers()), SimpleNamespace(name="all"), "", 1.0)
    exchange.outcome.ended = 1.0

    assert fields(exchange) == {
        "route": "all",
        "method": "GET",
        "path": "/",
        "status": 0,
        "result": "",
        "tenant": "default",
        "bytes_in": 0,
        "bytes_out": 0,
        "ms": 0.0,
    }


@pytest.mark.parametrize("name", OPTIONAL_FIELDS)
def test_each_optional_field_can_be_left_out(name):
    exchange = make_exchange()
    exchange.outcome.answered_by, exchange.outcome.error = "cache", "broken"
    exchange.endpoints = Pool.of("fast", ())

    assert set(fields(exchange)) - set(fields(exchange, omit=[name])) == {name}


def test_what_a_caller_makes_long_is_cut():
    exchange = make_exchange("/" + "p" * 5000 + "?" + "&".join(f"{'n' * 300}{n}=1" for n in range(100)))
    exchange.model = "m" * 5000
    line = fields(exchange)

    assert len(line["path"]) == 1024
    assert len(line["model"]) == 200
    assert len(line["query"]) <= 20
    assert max(map(len, line["query"])) <= 200


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", []),
        ("a=1&b=2&a=3", ["a", "b"]),
        ("a%20b=1&c+d=", ["a b", "c d"]),
        ("sekret", []),
        ("sekret&a=1&=sekret", ["a"]),
    ],
)
def test_only_the_names_of_a_query_are_told(query, names):
    assert query_names(query) == names


@pytest.mark.parametrize(
    ("address", "form", "told"),
    [
        ("10.1.2.3", "full", "10.1.2.3"),
        ("10.1.2.3", "truncated", "10.1.2.0"),
        ("2001:db8:1:2:3::4", "truncated", "2001:db8:1::"),
        ("10.1.2.3", "off", ""),
        ("", "truncated", ""),
        ("a socket", "truncated", ""),
    ],
)
def test_an_address_is_told_in_the_form_that_was_asked_for(address, form, told):
    assert client_address(address, form) == told


def test_an_attempt_that_was_given_up_says_so():
    exchange = make_exchange()
    exchange.attempts = [Attempt(1, Endpoint("main"), 100.0, error=CancelledError())]

    assert fields(exchange)["attempts"] == ["main:cancelled"]


def test_in_a_pool_attempts_are_told_by_upstream_and_model():
    exchange = make_exchange()
    exchange.endpoints = Pool.of("fast", ())
    overloaded = ProviderError(529, "overloaded", "sekret", kind="overloaded")
    exchange.attempts = [
        Attempt(1, Endpoint("main", "a"), 100.0, status=200, error=overloaded),
        Attempt(2, Endpoint("main", "b"), 100.0, status=200, complete=True),
    ]

    told = fields(exchange)

    assert (told["pool"], told["upstream"]) == ("fast", "main")
    assert told["attempts"] == ["main/a:overloaded", "main/b:200"]


def test_a_discovered_member_stands_there_by_its_full_name():
    exchange = make_exchange()
    exchange.attempts = [
        Attempt(1, Endpoint("main", None, "main@10.0.0.1:80"), 100.0, status=200, complete=True)
    ]

    assert fields(exchange)["upstream"] == "main@10.0.0.1:80"
    assert fields(exchange)["attempts"] == ["main@10.0.0.1:80:200"]
