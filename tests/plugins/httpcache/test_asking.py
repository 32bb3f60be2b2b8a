from __future__ import annotations

import pytest

from llmproxy.testing import FakeUpstream

from .stage import ETAG, staged, status

FRESH = ("Cache-Control", "max-age=60")
SHORT = ("Cache-Control", "max-age=5")


async def test_a_stale_answer_is_confirmed_and_fresh_again() -> None:
    origin = FakeUpstream().reply(
        body=b"x", headers=[SHORT, ETAG, ("A", "1"), ("Content-Type", "text/plain")]
    )
    origin.reply(304, body=b"", headers=[SHORT, ETAG, ("A", "2"), ("Content-Type", "text/html")])
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(10)
        second, third = await stage.ask(), await stage.ask()

        assert origin.requests[1].header("if-none-match") == '"a"'
        assert (second.reply.status, second.body) == (200, b"x")
        assert (second.reply.headers.get("a"), second.reply.headers.get("content-type")) == (
            "2",
            "text/plain",
        )
        assert status(second) == "llmproxy; fwd=stale; fwd-status=304; stored"
        assert status(third) == "llmproxy; hit"
        assert third.reply.headers.get("a") == "2"


async def test_a_stale_answer_that_has_changed_is_replaced() -> None:
    origin = FakeUpstream().reply(body=b"old", headers=[SHORT, ETAG])
    origin.reply(body=b"new", headers=[FRESH, ("ETag", '"b"')])
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(10)
        answers = [(await stage.ask()).body for _ in range(2)]

        assert answers == [b"new", b"new"]
        assert stage.asked == 2


async def test_a_304_about_another_answer_is_asked_again() -> None:
    origin = FakeUpstream().reply(body=b"old", headers=[SHORT, ETAG])
    origin.reply(304, body=b"", headers=[SHORT, ("ETag", '"c"')])
    origin.reply(body=b"new", headers=[FRESH])
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(10)

        assert (await stage.ask()).body == b"new"
        assert origin.requests[2].header("if-none-match") is None


async def test_a_confirmation_that_forbids_storing_ends_the_entry() -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[SHORT, ETAG])
    origin.reply(304, body=b"", headers=[("Cache-Control", "no-store"), ETAG])
    origin.reply(body=b"y", headers=[("Cache-Control", "no-store")])
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(10)
        second, third = await stage.ask(), await stage.ask()

        assert (second.body, third.body) == (b"x", b"y")
        assert origin.requests[2].header("if-none-match") is None


async def test_the_callers_condition_is_answered_here_and_the_whole_is_stored() -> None:
    async with staged(FakeUpstream().reply(body=b"x", headers=[FRESH, ETAG])) as stage:
        first = await stage.ask(If_None_Match='"a"')
        second = await stage.ask(If_None_Match='"b"')

        assert (first.reply.status, first.body) == (304, b"")
        assert first.reply.headers.get("etag") == '"a"'
        assert (second.reply.status, second.body) == (200, b"x")
        assert stage.origin.requests[0].header("if-none-match") is None
        assert stage.asked == 1


async def test_a_streamed_whole_is_stored_though_its_caller_only_needs_to_know() -> None:
    origin = FakeUpstream().stream([b"one ", b"two"], delay=0.01, headers=[FRESH, ETAG])
    async with staged(origin) as stage:
        first, second = await stage.ask(If_None_Match='"a"'), await stage.ask()

        assert first.reply.status == 304
        assert (second.body, status(second)) == (b"one two", "llmproxy; hit")


async def test_conditions_go_on_where_nothing_was_to_be_stored_lately() -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[("Cache-Control", "no-store"), ETAG])
    origin.reply(304, body=b"", headers=[ETAG])
    async with staged(origin) as stage:
        await stage.ask()
        second = await stage.ask(If_None_Match='"a"')

        assert origin.requests[1].header("if-none-match") == '"a"'
        assert second.reply.status == 304


async def test_several_variants_are_named_in_one_request() -> None:
    vary = ("Vary", "Foo")
    origin = FakeUpstream().reply(body=b"one", headers=[FRESH, vary, ("ETag", '"1"')])
    origin.reply(body=b"two", headers=[FRESH, vary, ("ETag", '"2"')])
    origin.reply(304, body=b"", headers=[vary, ("ETag", '"1"'), FRESH])
    async with staged(origin) as stage:
        for value in "12":
            await stage.ask(Foo=value)
        third, again = await stage.ask(Foo="3"), await stage.ask(Foo="3")

        assert origin.requests[2].header("if-none-match") == '"2", "1"'
        assert (third.body, status(third)) == (b"one", "llmproxy; fwd=vary-miss; fwd-status=304; stored")
        assert (again.body, status(again)) == (b"one", "llmproxy; hit")


async def test_a_language_is_chosen_from_what_is_stored() -> None:
    headers = [FRESH, ("Vary", "Accept-Language"), ("Content-Language", "de")]
    for profile, asked in (("rfc9111", 1), ("api", 2)):
        async with staged(FakeUpstream().reply(body=b"x", headers=headers), profile) as stage:
            await stage.ask(Accept_Language="en, de")
            await stage.ask(Accept_Language="fr;q=0.5, de")

            assert stage.asked == asked


async def test_head_is_answered_out_of_what_get_gave() -> None:
    async with staged(FakeUpstream().reply(body=b"hello", headers=[FRESH])) as stage:
        await stage.ask()
        served = await stage.ask(method="HEAD")

        assert served.reply.headers.get("content-length") == "5"
        assert stage.asked == 1


async def test_head_that_goes_on_updates_what_is_stored() -> None:
    origin = FakeUpstream().reply(body=b"hello", headers=[SHORT, ("A", "1"), ("B", "1")])
    origin.reply(body=b"hello", headers=[FRESH, ("A", "2")])
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(10)
        head, get = await stage.ask(method="HEAD"), await stage.ask()

        assert origin.requests[1].method == "HEAD"
        assert (head.reply.headers.get("a"), head.reply.headers.get("b")) == ("2", "1")
        assert (get.body, get.reply.headers.get("a"), status(get)) == (b"hello", "2", "llmproxy; hit")


async def test_head_that_describes_other_bytes_ends_what_is_stored() -> None:
    origin = FakeUpstream().reply(body=b"hello", headers=[SHORT, ETAG]).reply(body=b"other!", headers=[FRESH])
    async with staged(origin) as stage:
        await stage.ask()
        stage.later(10)
        await stage.ask(method="HEAD")
        await stage.ask()

        assert origin.requests[2].header("if-none-match") is None


@pytest.mark.parametrize(
    ("wanted", "part", "span"),
    [
        ("bytes=0-1", b"he", "bytes 0-1/5"),
        ("bytes=1-", b"ello", "bytes 1-4/5"),
        ("bytes=-2", b"lo", "bytes 3-4/5"),
    ],
)
async def test_ranges_are_cut_out_of_what_is_stored(wanted: str, part: bytes, span: str) -> None:
    async with staged(FakeUpstream().reply(body=b"hello", headers=[FRESH, ETAG])) as stage:
        await stage.ask()
        served = await stage.ask(Range=wanted)

        assert (served.reply.status, served.body) == (206, part)
        assert served.reply.headers.get("content-range") == span
        assert served.reply.headers.get("etag") == '"a"'
        assert stage.asked == 1


async def test_a_range_outside_is_told_and_one_of_another_state_is_given_the_whole() -> None:
    async with staged(FakeUpstream().reply(body=b"hello", headers=[FRESH, ETAG])) as stage:
        await stage.ask()
        outside = await stage.ask(Range="bytes=9-")
        other = await stage.ask(Range="bytes=0-1", If_Range='"b"')

        assert (outside.reply.status, outside.reply.headers.get("content-range")) == (416, "bytes */5")
        assert (other.reply.status, other.body) == (200, b"hello")


async def test_a_part_serves_ranges_inside_it() -> None:
    origin = FakeUpstream().reply(206, body=b"cdef", headers=[FRESH, ("Content-Range", "bytes 2-5/10")])
    async with staged(origin) as stage:
        await stage.ask(Range="bytes=2-5")
        inside, outside = await stage.ask(Range="bytes=3-4"), await stage.ask(Range="bytes=3-8")

        assert (inside.reply.status, inside.body) == (206, b"de")
        assert inside.reply.headers.get("content-range") == "bytes 3-4/10"
        assert stage.asked == 2
        assert outside.reply.headers.get("content-range") == "bytes 2-5/10"


async def test_a_beginning_is_completed_if_both_parts_are_of_one_whole() -> None:
    part = [FRESH, ("ETag", '"a"')]
    origin = FakeUpstream().reply(206, body=b"01234", headers=[*part, ("Content-Range", "bytes 0-4/10")])
    origin.reply(206, body=b"56789", headers=[*part, ("Content-Range", "bytes 5-9/10")])
    async with staged(origin, "api") as stage:
        await stage.ask(Range="bytes=0-4")
        whole, again = await stage.ask(), await stage.ask()

        asked = origin.requests[1]
        assert (asked.header("range"), asked.header("if-range")) == ("bytes=5-", '"a"')
        assert (whole.reply.status, whole.body) == (200, b"0123456789")
        assert whole.reply.headers.get("content-range") is None
        assert (again.body, status(again)) == (b"0123456789", "llmproxy; hit")


@pytest.mark.parametrize(
    "rest",
    [
        [("ETag", '"b"'), ("Content-Range", "bytes 5-9/10")],
        [("ETag", '"a"'), ("Content-Range", "bytes 5-9/11")],
        [("ETag", '"a"'), ("Content-Range", "bytes 6-10/11")],
        [("ETag", '"a"'), ("Content-Range", "bytes 5-8/10")],
        [("ETag", '"a"')],
    ],
)
async def test_parts_of_two_wholes_are_never_put_together(rest: list[tuple[str, str]]) -> None:
    part = [FRESH, ("ETag", '"a"'), ("Content-Range", "bytes 0-4/10")]
    origin = FakeUpstream().reply(206, body=b"01234", headers=part)
    origin.reply(206, body=b"56789", headers=[FRESH, *rest])
    origin.reply(body=b"the whole", headers=[FRESH])
    async with staged(origin) as stage:
        await stage.ask(Range="bytes=0-4")

        assert (await stage.ask()).body == b"the whole"
        assert origin.requests[2].header("range") is None


async def test_a_part_that_contradicts_itself_is_served_as_what_came() -> None:
    headers = [FRESH, ("Content-Range", "bytes 4-9/10")]
    for profile, asked in (("rfc9111", 1), ("api", 2)):
        async with staged(FakeUpstream().reply(206, body=b"01234", headers=headers), profile) as stage:
            await stage.ask(Range="bytes=-5")
            served = await stage.ask(Range="bytes=-5")

            assert served.body == b"01234"
            assert stage.asked == asked
            if profile == "rfc9111":
                assert served.reply.headers.get("content-range") == "bytes 4-8/9"


async def test_an_answer_to_a_post_is_stored_where_the_route_says_so() -> None:
    origin = FakeUpstream().reply(body=b"one", headers=[FRESH]).reply(body=b"two", headers=[FRESH])
    async with staged(origin, methods=["GET", "POST"]) as stage:
        answers = [(await stage.ask(method="POST", body=body)).body for body in (b"q=1", b"q=2", b"q=1")]

        assert answers == [b"one", b"two", b"one"]


async def test_a_precondition_is_the_origins_to_judge() -> None:
    async with staged(FakeUpstream().reply(body=b"x", headers=[FRESH, ETAG])) as stage:
        await stage.ask()
        served = await stage.ask(If_Match='"b"')

        assert status(served) == "llmproxy; fwd=bypass; fwd-status=200"
        assert stage.origin.requests[1].header("if-match") == '"b"'


async def test_a_caller_who_wants_nothing_stored_keeps_nobody_waiting() -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[FRESH])
    async with staged(origin) as stage:
        first = await stage.ask(Cache_Control="no-store")
        second, third = await stage.ask(If_None_Match='"b"'), await stage.ask()

        assert "stored" not in status(first)
        assert origin.requests[1].header("if-none-match") is None
        assert "stored" in status(second)
        assert status(third) == "llmproxy; hit"


async def test_a_body_that_says_it_is_too_large_is_not_called_stored() -> None:
    async with staged(FakeUpstream().reply(body=b"x" * 3000, headers=[FRESH]), max_body="2KiB") as stage:
        assert status(await stage.ask()) == "llmproxy; fwd=uri-miss; fwd-status=200"
