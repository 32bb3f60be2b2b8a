from __future__ import annotations

import pytest

from llmproxy.caches import Purge, PurgeOrder
from llmproxy.plugin import Caller
from llmproxy.testing import FakeUpstream, Served

from .stage import ETAG, staged


async def test_members_of_caches_nearer_to_the_origin_stand_first() -> None:
    headers = [("Cache-Control", "max-age=60"), ("Cache-Status", "origin; hit")]
    async with staged(FakeUpstream().reply(body=b"x", headers=headers)) as stage:
        for _ in range(2):
            members = (await stage.ask()).reply.headers.get_all("cache-status")

            assert members[0] == "origin; hit"
            assert members[1].startswith("llmproxy;")


async def test_the_key_is_told_as_a_digest() -> None:
    async with staged(FakeUpstream().reply(body=b"x")) as stage:
        told = (await stage.ask("/secret")).reply.headers.get("cache-status") or ""

        assert "key=" in told
        assert "secret" not in told


SAYS = {
    "cache_control": "public, max-age=5, s-maxage=50",
    "cdn_cache_control": "max-age=500",
    "vary": ["Origin"],
}


def _told(served: Served) -> tuple[str | None, str | None, str | None]:
    headers = served.reply.headers
    joined = ", ".join(headers.get_all("vary")) or None
    return headers.get("cache-control"), headers.get("cdn-cache-control"), joined


async def test_browsers_and_cdns_are_told_what_the_route_says_on_misses_and_hits() -> None:
    headers = [("Cache-Control", "max-age=60"), ("Expires", "0"), ("Vary", "Accept")]
    async with staged(FakeUpstream().reply(body=b"x", headers=headers), downstream=SAYS) as stage:
        miss = await stage.ask()
        stage.later(30)
        hit = await stage.ask()
        same = await stage.ask("/a", "HEAD")

        assert _told(miss) == ("public, max-age=5, s-maxage=50", "max-age=500", "Accept, Origin")
        age = int(hit.reply.headers.get("age") or 0)
        assert age in {30, 31}
        assert _told(hit) == (
            f"public, max-age={5 + age}, s-maxage={50 + age}",
            f"max-age={500 + age}",
            "Accept, Origin",
        )
        assert "expires" not in hit.reply.headers
        assert "expires" not in miss.reply.headers
        assert same.reply.headers.get("cdn-cache-control") == hit.reply.headers.get("cdn-cache-control")
        assert stage.asked == 1


async def test_a_confirmed_answer_keeps_what_the_origin_wants_of_others() -> None:
    old = [("Cache-Control", "max-age=5, must-revalidate"), ETAG]
    origin = FakeUpstream().reply(body=b"x", headers=old).reply(304, body=b"", headers=[ETAG])
    async with staged(origin, downstream="public, max-age=60") as stage:
        for seconds in (0, 10, 1):
            stage.later(seconds)
            told = (await stage.ask()).reply.headers.get("cache-control") or ""

            assert told.startswith("public, max-age=6")
            assert told.endswith(", must-revalidate")
        assert stage.asked == 2


@pytest.mark.parametrize("control", ["no-store", "private, max-age=9", "no-cache"])
async def test_what_the_origin_keeps_from_others_leaves_as_it_came(control: str) -> None:
    headers = [("Cache-Control", control), ("CDN-Cache-Control", "max-age=9"), ETAG]
    origin = FakeUpstream().reply(body=b"x", headers=headers)
    async with staged(origin, downstream=SAYS) as stage:
        for _ in range(2):
            assert _told(await stage.ask()) == (control, "max-age=9", "Origin")


async def test_a_callers_own_answer_leaves_as_private() -> None:
    headers = [("Cache-Control", "max-age=60")]
    async with staged(FakeUpstream().reply(body=b"x", headers=headers), "api", downstream=SAYS) as stage:
        for caller in (Caller("tenant", "key"), Caller("tenant", "key")):
            assert _told(await stage.ask(caller=caller)) == ("private, max-age=5", None, "Origin")
        assert stage.asked == 1


async def test_errors_and_answers_to_writes_are_not_to_be_kept_by_others_either() -> None:
    origin = FakeUpstream().reply(500, body=b"x").reply(body=b"x")
    async with staged(origin, downstream=SAYS) as stage:
        assert _told(await stage.ask()) == (None, None, "Origin")
        assert _told(await stage.ask("/a", "POST")) == (None, None, None)


async def test_a_route_that_stores_nothing_can_tell_others_to() -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[("Surrogate-Key", "a")])
    async with staged(origin, "stateless", downstream=SAYS) as stage:
        for _ in range(2):
            served = await stage.ask()

            assert _told(served) == ("public, max-age=5, s-maxage=50", "max-age=500", "Origin")
            assert served.reply.headers.get("surrogate-key") == "a"
        assert stage.asked == 2


TAGS = [("Surrogate-Key", "a b"), ("Cache-Tag", "c,d"), ("xkey", "e")]


@pytest.mark.parametrize(("tags", "left"), [("strip", 0), ("pass", 3)])
async def test_an_answers_tags_stay_with_the_cache(tags: str, left: int) -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[("Cache-Control", "max-age=60"), *TAGS])
    async with staged(origin, downstream={"tags": tags}) as stage:
        for _ in range(2):
            headers = (await stage.ask()).reply.headers

            assert sum(name.lower() in headers for name, _ in TAGS) == left
        assert stage.asked == 1


async def test_tags_outlast_a_confirmation_that_does_not_name_them() -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[("Cache-Control", "max-age=5"), ETAG, *TAGS])
    origin.reply(304, body=b"", headers=[ETAG]).reply(body=b"y")
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(10)
        await stage.ask()
        await stage.serving.generation.process.spaces.purge(PurgeOrder((Purge("tag", ("c",)),)))

        assert (await stage.ask()).body == b"y"
