from __future__ import annotations

import pytest

from llmproxy.plugin import Caller
from llmproxy.testing import FakeUpstream

from .stage import staged, status

FRESH = ("Cache-Control", "max-age=60")


def _origin() -> FakeUpstream:
    return FakeUpstream().reply(body=b"old", headers=[FRESH])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"])
async def test_an_unsafe_request_ends_what_is_stored_of_its_target(method: str) -> None:
    origin = _origin().reply(body=b"done").reply(body=b"new", headers=[FRESH])
    async with staged(origin) as stage:
        await stage.ask()
        changed = await stage.ask(method=method)

        assert status(changed) == "llmproxy; fwd=method; fwd-status=200"
        assert (await stage.ask()).body == b"new"


async def test_one_that_failed_ends_nothing() -> None:
    async with staged(_origin().reply(500, body=b"no")) as stage:
        await stage.ask()
        await stage.ask(method="POST")

        assert status(await stage.ask()) == "llmproxy; hit"


async def test_it_ends_variants_and_what_its_answer_points_to() -> None:
    origin = FakeUpstream()
    for path in ("/a", "/b", "/c"):
        for body in (b"old", b"new"):
            origin.reply(body=body, headers=[FRESH, ("Vary", "Foo")], path=path)
    origin.reply(
        201, body=b"", path="/d", headers=[("Location", "/b"), ("Content-Location", "http://gateway.test/a")]
    )
    async with staged(origin) as stage:
        for path in ("/a", "/b", "/c"):
            await stage.ask(path, Foo="1")
        await stage.ask("/d", "POST")

        answers = [(await stage.ask(path, Foo="1")).body for path in ("/a", "/b", "/c")]
        assert answers == [b"new", b"new", b"old"]


async def test_it_ends_what_other_tenants_have_of_it_too() -> None:
    origin = _origin().reply(body=b"done").reply(body=b"new", headers=[FRESH])
    async with staged(origin) as stage:
        await stage.ask(caller=Caller("one"))
        await stage.ask(method="POST", caller=Caller("two"))

        assert (await stage.ask(caller=Caller("one"))).body == b"new"


async def test_it_ends_groups() -> None:
    origin = FakeUpstream()
    origin.reply(body=b"old", headers=[FRESH, ("Cache-Groups", '"g", "h"')], path="/a")
    origin.reply(body=b"new", headers=[FRESH], path="/a")
    origin.reply(body=b"old", headers=[FRESH, ("Cache-Groups", '"i"')], path="/b")
    origin.reply(body=b"", headers=[("Cache-Group-Invalidation", '"h"')], path="/c")
    async with staged(origin) as stage:
        for path in ("/a", "/b"):
            await stage.ask(path)
        await stage.ask("/c", "POST")

        assert [(await stage.ask(path)).body for path in ("/a", "/b")] == [b"new", b"old"]


async def test_spellings_of_one_target_are_one() -> None:
    origin = (
        FakeUpstream()
        .reply(body=b"old", headers=[FRESH])
        .reply(body=b"done")
        .reply(body=b"new", headers=[FRESH])
    )
    async with staged(origin) as stage:
        await stage.ask("/%7ea?b=%2f")
        await stage.ask("/~a?b=%2F", "POST")

        assert (await stage.ask("/%7Ea?b=%2F")).body == b"new"


async def test_a_post_that_gives_its_targets_representation_has_it_stored() -> None:
    headers = [FRESH, ("Content-Location", "/a")]
    async with staged(FakeUpstream().reply(body=b"posted", headers=headers)) as stage:
        posted = await stage.ask(method="POST", body=b"x")
        got = await stage.ask()

        assert status(posted) == "llmproxy; fwd=method; fwd-status=200; stored"
        assert (got.body, status(got)) == (b"posted", "llmproxy; hit")


@pytest.mark.parametrize(
    "headers",
    [
        [FRESH],
        [FRESH, ("Content-Location", "/b")],
        [("Content-Location", "/a")],
        [("Cache-Control", "no-store, max-age=60"), ("Content-Location", "/a")],
    ],
)
async def test_any_other_post_is_not_stored(headers: list[tuple[str, str]]) -> None:
    async with staged(FakeUpstream().reply(body=b"posted", headers=headers)) as stage:
        await stage.ask(method="POST", body=b"x")

        assert "fwd=uri-miss" in status(await stage.ask())
