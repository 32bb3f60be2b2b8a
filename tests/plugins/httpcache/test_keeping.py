from __future__ import annotations

import asyncio

import pytest

from llmproxy.caches import Purge, PurgeOrder
from llmproxy.plugin import Entry
from llmproxy.testing import FakeUpstream
from llmproxy_httpcache.plan import PLAN

from .stage import Stage, staged, status

FRESH = ("Cache-Control", "max-age=60")


async def _purge(stage: Stage, kind: str, value: str, *, soft: bool = False) -> None:
    purge = Purge(kind, (value,) if value else (), None, soft)  # type: ignore[arg-type]
    await stage.serving.generation.process.spaces.purge(PurgeOrder((purge,)))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("tag", "one"),
        ("tag", "two"),
        ("tag", "routes"),
        ("url", "http://gateway.test/a"),
        ("url", "/a"),
        ("prefix", "/"),
        ("route", "test"),
        ("tenant", "default"),
        ("all", ""),
    ],
)
async def test_a_purge_ends_whatever_it_names(kind: str, value: str) -> None:
    headers = [FRESH, ("Surrogate-Key", "one two"), ("Vary", "Foo")]
    origin = FakeUpstream().reply(body=b"old", headers=headers).reply(body=b"new", headers=headers)
    async with staged(origin, tags=["routes"]) as stage:
        await stage.ask()
        await _purge(stage, kind, value)

        assert (await stage.ask()).body == b"new"


async def test_a_purge_of_something_else_ends_nothing() -> None:
    async with staged(FakeUpstream().reply(body=b"x", headers=[FRESH, ("Surrogate-Key", "one")])) as stage:
        await stage.ask()
        for kind, value in (("tag", "two"), ("url", "/b"), ("route", "other"), ("tenant", "other")):
            await _purge(stage, kind, value)

        assert status(await stage.ask()) == "llmproxy; hit"


async def test_a_soft_purge_has_what_is_stored_confirmed() -> None:
    origin = FakeUpstream().reply(body=b"x", headers=[FRESH, ("ETag", '"a"')])
    origin.reply(304, body=b"", headers=[FRESH, ("ETag", '"a"')])
    async with staged(origin) as stage:
        await stage.ask()
        await _purge(stage, "all", "", soft=True)
        second, third = await stage.ask(), await stage.ask()

        assert (second.body, status(second)) == (b"x", "llmproxy; fwd=stale; fwd-status=304; stored")
        assert status(third) == "llmproxy; hit"


async def test_an_answer_that_was_on_its_way_during_a_purge_is_not_used() -> None:
    origin = FakeUpstream().stream([b"old ", b"text"], delay=0.05, headers=[FRESH])
    origin.reply(body=b"new", headers=[FRESH])
    async with staged(origin) as stage:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(stage.ask())
            await origin.received()
            await _purge(stage, "url", "/a")

        assert first.result().body == b"old text"
        assert (await stage.ask()).body == b"new"


@pytest.mark.parametrize("status_of_entry", [0, 200])
async def test_what_another_version_has_stored_is_a_miss(status_of_entry: int) -> None:
    async with staged(FakeUpstream().reply(body=b"x", headers=[FRESH])) as stage:
        served = await stage.ask()
        space = stage.serving.generation.process.spaces.find()["answers"]
        key = served.exchange.state[PLAN].key
        await space.put(key, Entry(status_of_entry, b"", b"?", mark=space.now(), meta=b"\x93\x01\x02"), 60)

        assert (await stage.ask()).body == b"x"
        assert stage.asked == 2
