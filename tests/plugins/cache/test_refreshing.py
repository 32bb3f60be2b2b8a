"""Answers made anew behind their callers' backs."""

from __future__ import annotations

import asyncio

from tests.plugins.cache.talking import (
    KEEP,
    answering,
    bench,
    body,
    completion,
    status,
)

from llmproxy.caches import tag_slots


async def test_a_stale_answer_is_given_while_it_is_made_anew() -> None:
    async with bench(
        answering(completion("old"), completion("new")), **KEEP, stale_while_revalidate="1h"
    ) as b:
        await b.ask()
        b.clock.passed = 400
        stale = await b.ask()
        fresh = await b.ask()

        assert status(stale) == "llmproxy; hit; ttl=-100"
        assert stale.reply.headers.get("age") == "400"
        assert (body(stale)["choices"][0]["message"]["content"], b.calls) == ("old", 2)
        assert body(fresh)["choices"][0]["message"]["content"] == "new"
        assert "ttl=300" in status(fresh)


async def test_a_burst_on_a_stale_answer_makes_one_call() -> None:
    async with bench(
        answering(completion("old"), completion("new")), **KEEP, stale_while_revalidate="1h"
    ) as b:
        await b.ask()
        b.clock.passed = 400
        await asyncio.gather(*[b.ask() for _ in range(20)])

        assert b.calls == 2


async def test_a_soft_purge_leaves_an_answer_stale() -> None:
    async with bench(
        answering(completion("old"), completion("new")), **KEEP, stale_while_revalidate="1h"
    ) as b:
        (space,) = b.serving.generation.process.spaces.find().values()
        await b.ask()
        await space.purge(tag_slots("route", "test"), soft=True)

        assert body(await b.ask())["choices"][0]["message"]["content"] == "old"
        assert body(await b.ask())["choices"][0]["message"]["content"] == "new"
