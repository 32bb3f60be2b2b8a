from __future__ import annotations

import pytest

from llmproxy.caches import FATE, Fate, Purge, PurgeOrder
from llmproxy.caching.fate import Pinned
from llmproxy.plugin import StoredReply
from llmproxy.testing import FakeUpstream, make_exchange

from .stage import ETAG, staged, status

SHORT = "max-age=5"


@pytest.mark.parametrize("code", [500, 502, 503, 504])
async def test_an_error_is_answered_by_what_is_stale_within_its_window(code: int) -> None:
    control = ("Cache-Control", f"{SHORT}, stale-if-error=60")
    origin = FakeUpstream().reply(body=b"x", headers=[control]).reply(code, body=b"sorry")
    async with staged(origin, "api") as stage:
        await stage.ask()
        stage.later(30)
        within = await stage.ask()
        stage.later(60)
        after = await stage.ask()

        assert (within.reply.status, within.body) == (200, b"x")
        assert status(within) == f"llmproxy; fwd=stale; fwd-status={code}"
        assert within.reply.headers.get("age") in {"30", "31"}
        assert (after.reply.status, after.body) == (code, b"sorry")


async def test_an_upstream_that_is_gone_is_an_error_too() -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[("Cache-Control", f"{SHORT}, stale-if-error=60")])
    origin.raw(b"", then="close")
    async with staged(origin, "api") as stage:
        await stage.ask()
        stage.later(30)

        assert (await stage.ask()).body == b"x"


@pytest.mark.parametrize(("profile", "code"), [("rfc9111", 200), ("api", 502)])
async def test_without_a_window_only_the_standard_serves_what_is_stale(profile: str, code: int) -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[("Cache-Control", SHORT)]).raw(b"", then="close")
    async with staged(origin, profile) as stage:
        await stage.ask()
        stage.later(10)

        assert (await stage.ask()).reply.status == code


@pytest.mark.parametrize("word", ["must-revalidate", "proxy-revalidate", "s-maxage=5", "no-cache"])
async def test_nothing_stale_is_served_where_it_is_forbidden(word: str) -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[("Cache-Control", f"{SHORT}, {word}"), ETAG])
    origin.raw(b"", then="close")
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(10)

        assert (await stage.ask()).reply.status == 502


async def test_an_older_answer_stays_where_a_newer_one_may_not_be_stored() -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[("Cache-Control", "max-age=60")])
    origin.reply(body=b"y", headers=[("Cache-Control", "no-store")])
    async with staged(origin) as stage:
        answers = [(await stage.ask(**headers)).body for headers in ({}, {"Cache_Control": "no-cache"}, {})]

        assert answers == [b"x", b"y", b"x"]


async def test_why_an_answer_was_not_stored_is_told_where_it_is_wanted() -> None:
    async with staged(FakeUpstream().reply(body=b"x", headers=[("Cache-Control", "private")])) as stage:
        served = await stage.ask()

        assert 'detail="private"' in (served.reply.headers.get("cache-status") or "")


@pytest.mark.parametrize(
    ("headers", "vary", "why"),
    [
        ({"Cache-Control": "max-age=60"}, "", ""),
        ({"Cache-Control": "max-age=60"}, "Foo", ""),
        ({"Cache-Control": "no-store"}, "", "no-store"),
    ],
)
async def test_who_wants_an_answer_kept_is_told_what_became_of_it(
    headers: dict[str, str], vary: str, why: str
) -> None:
    fields = [*headers.items(), *([("Vary", vary)] if vary else [])]
    async with staged(FakeUpstream().reply(body=b"x", headers=fields)) as stage:
        exchange, fate = make_exchange("GET", "/a"), Fate()
        exchange.state[FATE] = fate
        await stage.serving.serve(exchange)
        await fate.settled(5)

        assert (fate.kept, fate.why) == (not why, why)


async def test_an_answer_that_an_operator_gives_stands_until_its_end_or_a_purge() -> None:
    origin = FakeUpstream().reply(body=b"own", headers=[("Cache-Control", "max-age=60")])
    async with staged(origin, "rfc9111") as stage:
        for body in (b"first", b"given"):
            exchange, fate = make_exchange("GET", "/a"), Fate()
            exchange.state[FATE] = fate
            exchange.pinned = Pinned(StoredReply(200, [(b"Content-Type", b"text/plain")], body), 100.0)
            assert (await stage.serving.serve(exchange)).body == body
            await fate.settled(5)
            assert fate.kept
        stage.later(90)
        assert (await stage.ask(Cache_Control="no-cache")).body == b"given"
        await stage.serving.generation.process.spaces.purge(PurgeOrder((Purge("url", ("/a",)),)))

        assert (await stage.ask()).body == b"own"
        assert stage.asked == 1
