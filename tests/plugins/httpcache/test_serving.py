from __future__ import annotations

from llmproxy.testing import FakeUpstream

from .stage import ETAG, staged, status

FRESH = ("Cache-Control", "max-age=60")


async def test_a_caller_who_wants_only_what_is_stored_is_refused_what_is_not() -> None:
    async with staged(FakeUpstream().reply(body=b"x", headers=[FRESH])) as stage:
        refused = await stage.ask(Cache_Control="only-if-cached")
        await stage.ask()
        served = await stage.ask(Cache_Control="only-if-cached")

        assert refused.reply.status == 504
        assert status(refused) == "llmproxy; fwd=bypass"
        assert (served.body, status(served)) == (b"x", "llmproxy; hit")
        assert stage.asked == 1


async def test_callers_are_not_obeyed_by_default() -> None:
    async with staged(FakeUpstream().reply(body=b"x", headers=[FRESH]), "api") as stage:
        await stage.ask()
        served = await stage.ask(Cache_Control="no-cache")

        assert status(served) == "llmproxy; hit"


async def test_a_demand_that_goes_beyond_freshness_is_told() -> None:
    async with staged(FakeUpstream().reply(body=b"x", headers=[FRESH, ETAG])) as stage:
        await stage.ask()
        served = await stage.ask(Cache_Control="max-age=0")

        assert "fwd=request" in status(served)


async def test_a_condition_is_answered_from_what_is_fresh() -> None:
    headers = [FRESH, ETAG, ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]
    async with staged(FakeUpstream().reply(body=b"x", headers=headers)) as stage:
        await stage.ask()
        by_tag = await stage.ask(If_None_Match='W/"a"')
        by_date = await stage.ask(If_Modified_Since="Sunday, 06-Nov-94 08:49:37 GMT")

        assert (by_tag.reply.status, by_date.reply.status) == (304, 304)
        assert by_tag.body == b""
        assert (by_tag.reply.headers.get("etag"), status(by_tag)) == ('"a"', "llmproxy; hit")
        assert stage.asked == 1


async def test_a_lifetime_of_the_routes_own_is_used() -> None:
    async with staged(FakeUpstream().reply(body=b"x"), "api", ttl="30s") as stage:
        await stage.ask()
        stage.later(20)

        assert status(await stage.ask()) == "llmproxy; hit"


async def test_what_makes_no_difference_is_left_out() -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[FRESH, ("Vary", "User-Agent")])
    async with staged(origin, ignore={"query": ["utm_*", "ref"], "headers": ["User-Agent"]}) as stage:
        await stage.ask("/a?b=1&utm_source=x", User_Agent="one")
        served = await stage.ask("/a?ref=y&b=1", User_Agent="two")

        assert status(served) == "llmproxy; hit"
        assert origin.requests[0].target == "/a?b=1&utm_source=x"


async def test_a_field_can_be_taken_in_though_the_origin_does_not_say_so() -> None:
    origin = FakeUpstream().reply(body=b"one", headers=[FRESH]).reply(body=b"two", headers=[FRESH])
    async with staged(origin, vary=["X-Plan"]) as stage:
        answers = [(await stage.ask(X_Plan=value)).body for value in ("a", "b", "a")]

        assert answers == [b"one", b"two", b"one"]
