from __future__ import annotations

import pytest

from llmproxy.testing import FakeUpstream
from llmproxy_httpcache.filling import completion
from llmproxy_httpcache.terms import Terms

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


def test_only_a_beginning_that_is_worth_it_is_completed() -> None:
    part = Terms(60, 0, 0, etag=b'"a"', first=0, last=4, total=10)

    assert completion(part, 100, unvalidated=False) == [(b"Range", b"bytes=5-"), (b"If-Range", b'"a"')]
    assert completion(part, 9, unvalidated=False) is None
    assert completion(Terms(60, 0, 0, first=1, last=4, total=10), 100, unvalidated=True) is None
    assert completion(Terms(60, 0, 0, first=0, last=4), 100, unvalidated=True) is None
    assert completion(Terms(60, 0, 0, first=0, last=4, total=10), 100, unvalidated=False) is None
    assert completion(Terms(60, 0, 0, first=0, last=4, total=10), 100, unvalidated=True) == [
        (b"Range", b"bytes=5-")
    ]
