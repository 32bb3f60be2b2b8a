from __future__ import annotations

import pytest

from llmproxy.plugin import Caller, Exchange, NoConfig, Plugin, hookimpl
from llmproxy.testing import FakeUpstream, make_exchange
from llmproxy_httpcache.refreshing import request_of

from .stage import ETAG, settled, staged, status

WINDOW = ("Cache-Control", "max-age=5, stale-while-revalidate=60")


async def test_what_is_stale_is_served_and_validated_behind_the_callers_back() -> None:
    origin = FakeUpstream().reply(body=b"old", headers=[WINDOW, ETAG])
    origin.reply(body=b"new", headers=[WINDOW, ("ETag", '"b"')])
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(10)
        second, third = await stage.ask(), await stage.ask()

        assert (second.body, status(second)) == (b"old", "llmproxy; hit")
        assert "ttl=-" in (second.reply.headers.get("cache-status") or "")
        assert second.exchange.outcome.cache == "hit"
        assert (third.body, status(third)) == (b"new", "llmproxy; hit")
        assert origin.requests[1].header("if-none-match") == '"a"'


async def test_the_window_ends() -> None:
    origin = FakeUpstream().reply(body=b"old", headers=[WINDOW]).reply(body=b"new", headers=[WINDOW])
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(66)

        assert (await stage.ask()).body == b"new"


async def test_many_callers_have_it_validated_once() -> None:
    origin = FakeUpstream().reply(body=b"old", headers=[WINDOW])
    origin.raw(
        0.05, b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nnew", then="keep"
    )
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(10)
        for _ in range(10):
            served = await stage.serving.serve(make_exchange("GET", "/a"))

            assert served.body == b"old"
        await settled()

        assert stage.asked == 2


async def test_a_refresh_that_fails_leaves_what_is_stored() -> None:
    origin = FakeUpstream().reply(body=b"old", headers=[WINDOW]).raw(b"", then="close")
    async with staged(origin, "api") as stage:
        await stage.ask()
        stage.later(10)

        assert [(await stage.ask()).body for _ in range(2)] == [b"old", b"old"]


async def test_a_refresh_is_an_exchange_of_its_own_that_is_accounted_once() -> None:
    seen: list[tuple[str, str, str]] = []

    class Accounts(Plugin[NoConfig]):
        Config = NoConfig

        @hookimpl
        async def post_response(self, exchange: Exchange) -> None:
            parent = "" if exchange.parent is None else exchange.parent.id
            seen.append((parent, exchange.outcome.cache, exchange.caller.tenant))

    origin = FakeUpstream().reply(body=b"old", headers=[WINDOW])
    origin.reply(body=b"new", headers=[WINDOW])
    async with staged(origin, plugins={"accounts": {"use": Accounts}}) as stage:
        caller = Caller("tenant")
        await stage.ask(caller=caller)
        stage.later(10)
        stale = await stage.ask(caller=caller)
        await stage.ask(caller=caller)

        assert seen[0] == ("", "miss", "tenant")
        assert sorted(seen[1:]) == [
            ("", "hit", "tenant"),
            ("", "hit", "tenant"),
            (stale.exchange.id, "miss", "tenant"),
        ]
        assert stage.asked == 2


async def test_what_a_head_finds_stale_is_made_anew_as_a_whole() -> None:
    origin = FakeUpstream().reply(body=b"old", headers=[WINDOW]).reply(body=b"newer", headers=[WINDOW])
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(10)
        await stage.ask("/a", "HEAD")

        assert (await stage.ask()).body == b"newer"
        assert origin.requests[1].method == "GET"


async def test_a_refresh_asks_for_the_whole_at_the_host_that_the_caller_asked() -> None:
    exchange = make_exchange(
        "POST", "/a?b", body=b"x", headers={"Host": "other", "Range": "bytes=0-1", "A": "1"}
    )
    await exchange.body()
    exchange.request.host = "host.test"
    request = await request_of(exchange)

    assert (request.method, request.target, request.body) == ("POST", "/a?b", b"x")
    assert request.headers.get("host") == "host.test"
    assert request.headers.get("a") == "1"
    assert "range" not in request.headers


async def test_a_refresh_of_a_stale_answer_to_a_post_asks_with_its_body() -> None:
    origin = FakeUpstream().reply(body=b"old", headers=[WINDOW]).reply(body=b"new", headers=[WINDOW])
    async with staged(origin, methods=["POST"]) as stage:
        await stage.ask("/a", "POST", body=b"one")
        stage.later(10)
        await stage.ask("/a", "POST", body=b"one")

        assert (await stage.ask("/a", "POST", body=b"one")).body == b"new"
        assert [each.body for each in origin.requests] == [b"one", b"one"]


async def test_a_hot_answer_is_made_anew_before_it_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmproxy_httpcache.serving.random", lambda: 0.9)
    fresh = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\n"
    origin = FakeUpstream().raw(0.05, fresh + b"old", then="keep").raw(0.05, fresh + b"new", then="keep")
    async with staged(origin, early_refresh=10.0) as stage:
        await stage.ask()
        stage.later(50)
        early = await stage.ask()
        assert stage.asked == 1
        stage.later(9)
        served = [await stage.ask() for _ in range(2)]

        assert (early.body, stage.asked) == (b"old", 2)
        assert [each.body for each in served] == [b"old", b"new"]
        assert [status(each) for each in served] == ["llmproxy; hit"] * 2


async def test_nothing_is_made_anew_early_where_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmproxy_httpcache.serving.random", lambda: 1.0 - 1e-16)
    origin = FakeUpstream().reply(body=b"x", headers=[("Cache-Control", "max-age=60")])
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(58)
        await stage.ask()

        assert stage.asked == 1
