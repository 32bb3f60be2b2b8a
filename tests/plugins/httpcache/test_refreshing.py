from __future__ import annotations

from llmproxy.plugin import Caller, Clock
from llmproxy.testing import FakeUpstream, make_exchange
from llmproxy_httpcache.refreshing import twin_of

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


async def test_a_twin_asks_the_same_and_has_its_own_deadline() -> None:
    exchange = make_exchange("POST", "/a?b", body=b"x", caller=Caller("tenant"), headers={"A": "1"})
    await exchange.body()
    exchange.deadline = 5.0
    twin = await twin_of(exchange, Clock())

    assert (twin.request, twin.caller, twin.parent) == (exchange.request, exchange.caller, exchange)
    assert (await twin.body(), twin.deadline) == (b"x", 0.0)
