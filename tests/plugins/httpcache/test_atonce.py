from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from llmproxy.plugin import Caller, Exchange, GatewayError, Headers, Reply
from llmproxy.testing import FakeUpstream, make_exchange
from llmproxy_httpcache import HttpCachePlugin
from llmproxy_httpcache.atonce import AtOnce
from llmproxy_httpcache.config import HttpCacheRoute
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.key import Keys
from llmproxy_httpcache.rules import Rules
from llmproxy_httpcache.variants import Index
from llmproxy_httpcache.vary import selection

from .stage import ETAG, Stage, staged

USUAL = {"Accept": "*/*", "User-Agent": "x"}


def _known(exchange: Exchange, at_once: AtOnce | None = None) -> bool:
    at_once = at_once or AtOnce(Keys("route"))
    at_once.remember(exchange, b"key")
    return at_once.key_of(exchange) == b"key"


@pytest.mark.parametrize(
    "more", [{}, {"Connection": "keep-alive"}, {"Connection": "Close"}, {"traceparent": "x"}]
)
def test_a_usual_request_is_plain(more: dict[str, str]) -> None:
    assert _known(make_exchange("GET", "/a", headers=USUAL | more))


@pytest.mark.parametrize(
    "more",
    [
        *({"Cache-Control": ""}, {"Cookie": "a=b"}, {"Authorization": "x"}, {"Range": "bytes=0-"}),
        *({"If-None-Match": "*"}, {"If-Match": "*"}, {"X-Original-URL": "/"}, {"Content-Length": "0"}),
        *({"Connection": "X-A"}, {"X-User-Id": "1"}, {"Transfer-Encoding": "chunked"}),
    ],
)
def test_one_that_says_more_is_not(more: dict[str, str]) -> None:
    assert not _known(make_exchange("GET", "/a", headers=USUAL | more))


def test_what_the_gateway_keeps_to_itself_says_nothing_to_the_origin() -> None:
    exchange = make_exchange("GET", "/a", headers=USUAL | {"Authorization": "x"})
    exchange.spent = frozenset({b"authorization"})

    assert _known(exchange)
    assert not _known(make_exchange("HEAD", "/a", headers=USUAL))
    assert not _known(make_exchange("GET", "/" + "a" * 600, headers=USUAL))


@pytest.mark.parametrize(
    "other",
    [make_exchange("GET", "/b"), make_exchange("GET", "/a", caller=Caller("other"))],
    ids=["path", "tenant"],
)
def test_another_request_has_another_key(other: Exchange) -> None:
    at_once = AtOnce(Keys("route"))
    at_once.remember(make_exchange("GET", "/a"), b"key")

    assert at_once.key_of(other) is None


def test_a_variant_is_selected_as_anywhere_else() -> None:
    index, at_once = Index(names=((b"accept", b"foo"), (b"foo",))), AtOnce(Keys("route"))
    for value in ("a, b", "b, a", "a, b"):
        exchange = make_exchange("GET", "/a", headers={"Accept": value})
        raw = exchange.request.headers.raw

        assert at_once.selections(exchange, index) == [selection(names, Fields(raw)) for names in index.names]
    twice = make_exchange("GET", "/a")
    twice.request.headers = Headers([(b"Accept", b"a"), (b"Accept", b"b")])
    assert at_once.selections(twice, index) == []


@pytest.mark.parametrize(
    ("route", "plain"),
    [
        ({"profile": "api"}, True),
        ({}, False),
        ({"profile": "personal"}, False),
        ({"profile": "api", "consistency": "strong"}, False),
        ({"profile": "realtime"}, False),
    ],
)
def test_only_where_nothing_more_has_to_be_asked(route: dict[str, str], plain: bool) -> None:
    assert (Rules("route", HttpCacheRoute(**route)).at_once is not None) == plain  # type: ignore[arg-type]


FIELDS = [
    *[
        ("Accept-Language", "de"),
        ("Accept-Language", "en, de;q=0.5"),
        ("Accept-Encoding", "gzip"),
        ("X-A", "b"),
    ],
    *[("Connection", "keep-alive"), ("Connection", "x-a"), ("Cookie", "a=b"), ("Authorization", "Bearer x")],
    *[
        ("Cache-Control", "no-cache"),
        ("Cache-Control", "max-age=5"),
        ("Range", "bytes=0-1"),
        ("If-None-Match", '"a"'),
    ],
    *[("X-Forwarded-Prefix", "/x"), ("Content-Length", "0"), ("Content-Length", "5"), ("X-User", "ann")],
]


def _requests(stage: Stage, random: Random) -> Iterator[Exchange]:
    route = stage.serving.generation.router.match("GET", "h", "/a", lambda _: None, "").route  # type: ignore[union-attr]
    for _ in range(150):
        fields = random.sample(FIELDS, random.choice([0, 1, 1, 2, 3]))
        exchange = make_exchange(random.choice(["GET", "GET", "HEAD"]), random.choice(["/a", "/b", "/a?x"]))
        exchange.request.headers = Headers([(name.encode(), value.encode()) for name, value in fields])
        exchange.route = route
        yield exchange


@pytest.mark.parametrize("vary", ["", "Accept-Language", "Accept-Language, X-A"])
@pytest.mark.parametrize("downstream", [{}, {"cache_control": "max-age=9"}], ids=["quiet", "telling"])
async def test_what_is_found_at_once_is_what_a_closer_look_finds(
    monkeypatch: pytest.MonkeyPatch, vary: str, downstream: dict[str, str]
) -> None:
    random, headers = Random(1), [("Cache-Control", "public, max-age=60"), ETAG]
    origin = FakeUpstream().reply(body=b"hello", headers=[*headers, *([("Vary", vary)] if vary else [])])
    async with staged(origin, downstream=downstream) as stage:
        for fields in ({}, {"Accept_Language": "de"}, {"Cookie": "a=b"}, {"X_A": "b"}):
            for path in ("/a", "/a?x"):
                await stage.ask(path, **fields)
        now = stage.clock.wall() + 5.7
        monkeypatch.setattr(stage.clock, "wall", lambda: now)
        exchanges = list(_requests(stage, random))
        plugin = next(
            each for each in exchanges[0].route.pipeline.plugins if isinstance(each, HttpCachePlugin)
        )
        found = 0
        for exchange in exchanges:
            quick = await _found(plugin, exchange)
            rules = plugin._rules[exchange.route.name]
            monkeypatch.setattr(rules, "at_once", None)
            closer = await _found(plugin, exchange)
            monkeypatch.undo()
            monkeypatch.setattr(stage.clock, "wall", lambda: now)

            assert quick == closer
            found += quick is not None

        assert found > 30


async def _found(plugin: HttpCachePlugin, exchange: Exchange) -> object:
    exchange.__dict__.pop("state", None)
    try:
        reply: Reply | None = await plugin.cache_lookup(exchange)
    except GatewayError as refused:
        return refused.code
    return None if reply is None else (reply.status, reply.headers.raw, bytes(reply.body))  # type: ignore[arg-type]
