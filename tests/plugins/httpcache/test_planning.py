from __future__ import annotations

import pytest

from llmproxy.plugin import Body, Caller
from llmproxy.testing import make_exchange
from llmproxy_httpcache.config import HttpCacheRoute
from llmproxy_httpcache.planning import body_of, origin_of, plan_of
from llmproxy_httpcache.rules import Rules

RULES = Rules("route", HttpCacheRoute(profile="api", methods=("GET", "POST")))


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", "Example.com", "http://example.com:80"),
        ("https", "example.com", "https://example.com:443"),
        ("http", "example.com:8080", "http://example.com:8080"),
        ("http", "[::1]", "http://[::1]:80"),
        ("http", "[::1]:81", "http://[::1]:81"),
    ],
)
def test_an_origin_has_one_spelling(scheme: str, host: str, origin: str) -> None:
    assert origin_of(scheme, host) == origin


def test_what_may_be_stored_has_a_key() -> None:
    get = plan_of(make_exchange("GET", "/a?b", caller=Caller("tenant")), RULES)
    head = plan_of(make_exchange("HEAD", "/a?b", caller=Caller("tenant")), RULES)
    posts = [
        plan_of(make_exchange("POST", "/a?b", caller=Caller("tenant")), RULES, body) for body in (b"x", b"y")
    ]

    assert (get.caller.tenant, get.origin, get.target) == ("tenant", "http://gateway.test:80", "/a?b")
    assert get.key == head.key != b""
    assert len({get.key, b"", *(post.key for post in posts)}) == 4


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("PUT", {}),
        ("GET", {"If-Match": '"a"'}),
        ("GET", {"Content-Length": "5"}),
        ("GET", {"Transfer-Encoding": "chunked"}),
    ],
)
def test_anything_else_has_none(method: str, headers: dict[str, str]) -> None:
    assert (plan_of(make_exchange(method, "/a", headers=headers), RULES)).key == b""


def test_a_route_that_caches_nothing_has_no_keys() -> None:
    assert (plan_of(make_exchange("GET", "/a"), Rules("route", HttpCacheRoute()))).key == b""


def test_where_nobody_can_be_named_who_would_share_the_request_passes_and_says_why() -> None:
    rules = Rules("route", HttpCacheRoute(profile="personal"))
    plan = plan_of(make_exchange("GET", "/a"), rules)
    named = plan_of(make_exchange("GET", "/a", headers={"Cookie": "a=b"}), rules)

    assert (plan.key, plan.status.detail) == (b"", "no-end-user")
    assert named.key


async def test_a_body_is_read_if_it_says_that_it_is_short_enough() -> None:
    rules = Rules("route", HttpCacheRoute(profile="api", methods=("GET", "POST"), max_request=5))
    coming = make_exchange("POST", "/a", headers={"Content-Length": "5"})
    coming.upload = _coming(b"12345")
    endless = make_exchange("POST", "/a")
    endless.upload = _coming(b"12345")
    longer = make_exchange("POST", "/a", headers={"Content-Length": "6"})
    longer.upload = _coming(b"123456")

    assert await body_of(coming, rules) == b"12345"
    assert await body_of(endless, rules) is None
    assert await body_of(longer, rules) is None
    assert isinstance(longer.upload, Body)
    assert await body_of(make_exchange("GET", "/a", body=b"123456"), rules) == b""


def _coming(data: bytes) -> Body:
    body = Body()
    body.feed(data)
    body.end()
    return body


@pytest.mark.parametrize("body", [None, b"123456"])
def test_a_request_with_a_longer_body_passes_by(body: bytes | None) -> None:
    rules = Rules("route", HttpCacheRoute(profile="api", methods=("GET", "POST"), max_request=5))
    plan = plan_of(make_exchange("POST", "/a"), rules, body)

    assert (plan.key, plan.status.detail) == (b"", "size")
