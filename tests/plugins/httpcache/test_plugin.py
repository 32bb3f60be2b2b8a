from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from llmproxy.plugin import CacheSpace, Caller
from llmproxy.testing import FakeUpstream, PluginContract, running_route
from llmproxy_httpcache import HttpCachePlugin

from .stage import ETAG, STORES, staged, status

FRESH = ("Cache-Control", "max-age=60")


class TestContract(PluginContract):
    plugin_class = HttpCachePlugin
    config: ClassVar[dict[str, Any]] = {"store": "answers"}
    route: ClassVar[dict[str, Any]] = {"profile": "api"}
    more: ClassVar[dict[str, Any]] = STORES


async def test_the_second_answer_comes_out_of_the_store() -> None:
    async with staged(FakeUpstream().reply(body=b"hello", headers=[FRESH])) as stage:
        first = await stage.ask()
        stage.later(10)
        second = await stage.ask()

        assert (first.body, second.body) == (b"hello", b"hello")
        assert status(first) == "llmproxy; fwd=uri-miss; fwd-status=200; stored"
        assert status(second) == "llmproxy; hit"
        assert second.reply.headers.get("age") in {"10", "11"}
        assert stage.asked == 1


async def test_a_route_without_profile_caches_nothing_and_says_so() -> None:
    origin = FakeUpstream().reply(body=b"hello", headers=[FRESH])
    async with (
        origin,
        running_route(
            {"httpcache": {"use": HttpCachePlugin, "store": "answers"}}, upstream=origin, config=STORES
        ) as serving,
    ):
        from llmproxy.testing import make_exchange

        for _ in range(2):
            served = await serving.serve(make_exchange("GET", "/a"))

            assert status(served) == "llmproxy; fwd=bypass; fwd-status=200"
    assert len(origin.requests) == 2


async def test_a_streamed_answer_is_stored_while_it_passes() -> None:
    pieces = [b"one ", b"two ", b"three"]
    origin = FakeUpstream().stream(pieces, delay=0.01, headers=[FRESH, ("Content-Type", "text/plain")])
    async with staged(origin) as stage:
        first, second = await stage.ask(), await stage.ask()

        assert (first.body, second.body) == (b"one two three", b"one two three")
        assert status(second) == "llmproxy; hit"
        assert stage.asked == 1


async def test_an_answer_that_breaks_off_is_not_stored() -> None:
    origin = FakeUpstream().reply(body=b"x" * 100_000, headers=[FRESH], then="reset", after=70_000)
    origin.reply(body=b"whole", headers=[FRESH])
    async with staged(origin) as stage:
        first, second = await stage.ask(), await stage.ask()

        assert first.broken is not None
        assert second.body == b"whole"


async def test_an_answer_larger_than_the_route_keeps_is_passed_on() -> None:
    origin = FakeUpstream().reply(body=b"x" * 3000, headers=[FRESH])
    async with staged(origin, max_body="2KiB") as stage:
        assert [len((await stage.ask()).body) for _ in range(2)] == [3000, 3000]
        assert stage.asked == 2


async def test_a_cookie_is_given_to_nobody_else_by_default() -> None:
    for profile, asked in (("api", 2), ("rfc9111", 1)):
        origin = FakeUpstream().reply(body=b"hello", headers=[FRESH, ("Set-Cookie", "session=1")])
        async with staged(origin, profile) as stage:
            served = [await stage.ask() for _ in range(2)]

            assert all(each.reply.headers.get("set-cookie") == "session=1" for each in served)
            assert stage.asked == asked


@pytest.mark.parametrize("field", ["Authorization", "Cookie", "X_Api_Key", "Private_Token", "X_User_Id"])
async def test_answers_to_credentials_are_their_owners_by_default(field: str) -> None:
    origin = FakeUpstream().reply(body=b"mine", headers=[("Cache-Control", "public, max-age=60")])
    origin.reply(body=b"yours", headers=[("Cache-Control", "public, max-age=60")])
    async with staged(origin, "api") as stage:
        answers = [(await stage.ask(**{field: who})).body for who in ("me", "you", "me", "you")]

        assert answers == [b"mine", b"yours", b"mine", b"yours"]
        assert stage.asked == 2


async def test_tenants_never_share() -> None:
    origin = FakeUpstream().reply(body=b"one", headers=[FRESH]).reply(body=b"two", headers=[FRESH])
    async with staged(origin) as stage:
        one, two = Caller("one"), Caller("two")
        answers = [(await stage.ask(caller=caller)).body for caller in (one, two, one, two)]

        assert answers == [b"one", b"two", b"one", b"two"]


async def test_what_is_private_stays_with_the_one_user_whose_it_is() -> None:
    origin = FakeUpstream()
    for name in (b"ann's", b"bob's"):
        origin.reply(body=name, headers=[("Cache-Control", "private, max-age=60")])
    async with staged(origin, "personal") as stage:
        answers = [
            (await stage.ask(Authorization=who, caller=Caller("t"))).body
            for who in ("ann", "bob", "ann", "bob")
        ]

        assert answers == [b"ann's", b"bob's", b"ann's", b"bob's"]
        assert stage.asked == 2


async def test_what_belongs_to_nobody_known_is_not_stored() -> None:
    origin = FakeUpstream().reply(body=b"hello", headers=[FRESH])
    async with staged(origin, "personal") as stage:
        served = [await stage.ask() for _ in range(2)]

        assert stage.asked == 2
        assert 'detail="no-end-user"' in (served[0].reply.headers.get("cache-status") or "")


async def test_only_what_is_public_is_shared_by_tenants() -> None:
    origin = FakeUpstream().reply(body=b"hello", headers=[FRESH])
    async with staged(origin, "api", scope="public") as stage:
        for name in ("one", "two", "public"):
            assert (await stage.ask(caller=Caller(name))).body == b"hello"

        assert stage.asked == 1


async def test_a_profile_of_seconds_cuts_short_what_the_origin_names() -> None:
    origin = FakeUpstream().reply(body=b"hello", headers=[FRESH])
    async with staged(origin, "realtime") as stage:
        assert [(await stage.ask()).body for _ in range(3)] == [b"hello"] * 3
        assert stage.asked == 1
        stage.later(5)
        await stage.ask()

        assert stage.asked == 2


@pytest.mark.parametrize(
    "field", ["X_Forwarded_Prefix", "X_Original_URL", "X_HTTP_Method_Override", "X_Host", "Forwarded"]
)
async def test_nobody_has_an_answer_stored_for_others_by_a_field_that_sends_elsewhere(field: str) -> None:
    origin = FakeUpstream().reply(body=b"evil", headers=[FRESH]).reply(body=b"good", headers=[FRESH])
    async with staged(origin) as stage:
        assert (await stage.ask(**{field: "evil"})).body == b"evil"
        assert (await stage.ask()).body == b"good"


@pytest.mark.parametrize("profile", ["rfc9111", "api"])
async def test_a_range_that_cannot_be_had_is_refused_to_nobody_else(profile: str) -> None:
    origin = FakeUpstream().reply(416, body=b"", headers=[FRESH, ("Content-Range", "bytes */4")])
    origin.reply(body=b"good", headers=[FRESH])
    async with staged(origin, profile) as stage:
        assert (await stage.ask(Range="bytes=9-")).reply.status == 416
        assert (await stage.ask()).body == b"good"


async def test_nobody_has_an_answer_stored_for_a_field_that_the_origin_never_saw() -> None:
    vary = [FRESH, ("Vary", "Accept-Language")]
    origin = FakeUpstream().reply(body=b"any", headers=vary).reply(body=b"de", headers=vary)
    async with staged(origin) as stage:
        await stage.ask(Accept_Language="de", Connection="accept-language")

        assert origin.requests[0].header("accept-language") is None
        assert (await stage.ask(Accept_Language="de")).body == b"de"


async def test_a_get_with_a_body_passes_by() -> None:
    origin = FakeUpstream().reply(body=b"evil", headers=[FRESH]).reply(body=b"good", headers=[FRESH])
    async with staged(origin) as stage:
        evil = await stage.ask(body=b"q=evil", Content_Length="6")

        assert status(evil) == "llmproxy; fwd=bypass; fwd-status=200"
        assert (await stage.ask()).body == b"good"


async def test_concurrent_requests_for_variants_each_get_their_own() -> None:
    origin = FakeUpstream()
    for _ in range(2):
        origin.raw(
            0.02,
            b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: Foo\r\nContent-Length: 1\r\n\r\nx",
            then="keep",
        )
    async with staged(origin) as stage, asyncio.TaskGroup() as group:
        asked = [group.create_task(stage.ask(Foo=value)) for value in ("1", "2", "1", "2")]
    statuses = [status(each.result()) for each in asked]

    assert len(origin.requests) == 2
    assert sum("collapsed" in each for each in statuses) == 2


async def test_a_burst_makes_one_call() -> None:
    body = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx"
    origin = FakeUpstream().raw(0.05, body, then="keep")
    async with staged(origin) as stage, asyncio.TaskGroup() as group:
        asked = [group.create_task(stage.ask()) for _ in range(50)]

    assert len(origin.requests) == 1
    assert {each.result().body for each in asked} == {b"x"}


async def test_a_burst_for_a_stale_answer_makes_one_validation() -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[("Cache-Control", "max-age=1"), ETAG])
    origin.raw(
        0.05, b'HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nETag: "a"\r\n\r\n', then="keep"
    )
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(5)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(stage.ask()) for _ in range(50)]

        assert stage.asked == 2
        assert {(each.result().reply.status, each.result().body) for each in asked} == {(200, b"x")}


async def test_what_was_for_this_cache_alone_goes_no_further() -> None:
    own = ("LLMProxy-Cache-Control", "max-age=60")
    origin = FakeUpstream().reply(body=b"x", headers=[own, ETAG, ("Cache-Control", "no-store")])
    origin.reply(304, body=b"", headers=[ETAG])
    async with staged(origin) as stage:
        served = [await stage.ask() for _ in range(2)]
        stage.later(100)
        served += [await stage.ask() for _ in range(2)]

        assert [each.reply.headers.get("llmproxy-cache-control") for each in served] == [None] * 4
        assert stage.asked == 2


async def test_where_answers_are_to_be_validated_the_origin_is_asked_with_each_hit() -> None:
    origin = FakeUpstream().reply(body=b"hello", headers=[FRESH, ETAG]).reply(304, body=b"", headers=[ETAG])
    async with staged(origin, consistency="validate") as stage:
        served = [await stage.ask() for _ in range(3)]

        assert [each.body for each in served] == [b"hello"] * 3
        assert stage.asked == 3
        assert origin.requests[2].header("if-none-match") == ETAG[1]


@pytest.mark.parametrize(("consistency", "asked"), [("eventual", 1), ("strong", 3)])
async def test_where_it_is_to_be_sure_every_host_is_asked_whether_an_answer_still_holds(
    monkeypatch: pytest.MonkeyPatch, consistency: str, asked: int
) -> None:
    async def purged_elsewhere(*_: object) -> None:
        return None

    monkeypatch.setattr(CacheSpace, "confirm", purged_elsewhere)
    origin = FakeUpstream().reply(body=b"hello", headers=[FRESH])
    async with staged(origin, consistency=consistency) as stage:
        for _ in range(3):
            assert (await stage.ask()).body == b"hello"

        assert stage.asked == asked


async def test_what_every_host_takes_for_good_is_served() -> None:
    origin = FakeUpstream().reply(body=b"hello", headers=[FRESH, ("Vary", "Accept")])
    async with staged(origin, consistency="strong") as stage:
        served = [await stage.ask() for _ in range(3)]

        assert status(served[2]) == "llmproxy; hit"
        assert stage.asked == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_gets_an_entity_tag_and_who_has_it_already_is_told_so(streamed: bool) -> None:
    origin, kept = FakeUpstream(), [FRESH, ("Vary", "Accept")]
    if streamed:
        origin.stream([b"hel", b"lo"], delay=0.01, headers=[*kept, ("Content-Type", "text/plain")])
    else:
        origin.reply(body=b"hello", headers=kept)
    async with staged(origin, etag="generate") as stage:
        first, second = await stage.ask(), await stage.ask()
        etag = second.reply.headers.get("etag") or ""
        known = await stage.ask(If_None_Match=etag)
        part = await stage.ask(Range="bytes=1-2", If_Range=etag)

        assert first.reply.headers.get("etag") == (None if streamed else etag)
        assert (known.reply.status, known.body) == (304, b"")
        assert known.reply.headers.get("etag") == etag
        assert (part.reply.status, part.body) == (206, b"el")
        assert stage.asked == 1


async def test_the_origin_never_hears_of_a_tag_that_is_not_its_own() -> None:
    modified = ("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT")
    origin = FakeUpstream().reply(body=b"hello", headers=[("Cache-Control", "max-age=5"), modified])
    origin.reply(304, body=b"", headers=[modified])
    async with staged(origin, etag="generate") as stage:
        etag = (await stage.ask()).reply.headers.get("etag")
        stage.later(10)
        again = await stage.ask(If_None_Match=etag or "")

        assert origin.requests[1].header("if-none-match") is None
        assert origin.requests[1].header("if-modified-since") == modified[1]
        assert (again.reply.status, again.reply.headers.get("etag")) == (304, etag)
        assert (await stage.ask()).reply.headers.get("etag") == etag


async def test_an_answer_that_came_anew_with_the_same_bytes_has_the_same_tag() -> None:
    origin = FakeUpstream().reply(body=b"hello", headers=[("Cache-Control", "max-age=5")])
    async with staged(origin, etag="generate") as stage:
        etag = (await stage.ask()).reply.headers.get("etag") or ""
        stage.later(10)
        again = await stage.ask(If_None_Match=etag)

        assert (again.reply.status, stage.asked) == (304, 2)


async def test_a_method_with_a_body_has_an_answer_for_each_body() -> None:
    origin = FakeUpstream().reply(body=b"one", headers=[FRESH]).reply(body=b"two", headers=[FRESH])
    async with staged(origin, "api", methods=["GET", "HEAD", "POST"]) as stage:
        answers = [(await stage.ask("/search", "POST", body=body)).body for body in (b"a", b"b", b"a", b"b")]
        other = await stage.ask("/search", "POST", body=b"a", Content_Type="text/x")

        assert answers == [b"one", b"two", b"one", b"two"]
        assert (stage.asked, status(other)) == (3, "llmproxy; fwd=uri-miss; fwd-status=200; stored")
        assert [each.body for each in origin.requests] == [b"a", b"b", b"a"]
