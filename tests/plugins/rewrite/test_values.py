from __future__ import annotations

import pytest

from llmproxy.plugin import Caller
from llmproxy.testing import make_exchange
from llmproxy_rewrite.values import Values, catch_all_of


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("path", "id", "7"),
        ("path", "none", None),
        ("query", "q", "a b"),
        ("query", "none", None),
        ("header", "x-user", "ann"),
        ("header", "none", None),
        ("caller", "tenant", "shop"),
        ("caller", "key", "web"),
        ("label", "team", "red"),
        ("label", "none", None),
        ("client", "ip", "10.0.0.1"),
        ("request", "id", "exchange-1"),
        ("request", "method", "POST"),
        ("request", "path", "/a"),
        ("request", "host", "gateway.test"),
        ("request", "scheme", "http"),
        ("request", "model", "m"),
        ("match", "x", None),
    ],
)
def test_a_value_is_found(kind: str, name: str, value: str | None) -> None:
    exchange = make_exchange(
        path="/a?q=a+b",
        headers={"X-User": "ann"},
        params={"id": "7"},
        caller=Caller("shop", "web", (("team", "red"),)),
        client="10.0.0.1",
        model="m",
    )

    assert Values(exchange)(kind, name) == value


def test_what_was_meant_for_the_gateway_alone_is_not_there() -> None:
    exchange = make_exchange(headers={"Authorization": "Bearer secret"})
    exchange.spent = frozenset({b"authorization"})

    assert Values(exchange)("header", "authorization") is None


def test_bytes_that_are_no_utf8_come_out_as_they_are() -> None:
    exchange = make_exchange(headers={"X-User": "\xe9\xff"})
    value = Values(exchange)("header", "x-user")

    assert value is not None
    assert value.encode("utf-8", "surrogateescape") == b"\xe9\xff"


def test_a_caller_without_a_key_has_none() -> None:
    assert Values(make_exchange())("caller", "key") is None


@pytest.mark.parametrize(("path", "name"), [("/a/{rest...}", "rest"), ("/a/{id}", None), ("/a/*", None)])
def test_a_catch_all_is_known_by_its_dots(path: str, name: str | None) -> None:
    assert catch_all_of(path) == name
