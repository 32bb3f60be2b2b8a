"""From a request to a reply: what is looked up, who is asked."""

from __future__ import annotations

import asyncio

import pytest
from tests.plugins.cache.talking import (
    KEEP,
    answering,
    bench,
    completion,
    status,
)

from llmproxy.plugin import tag_slots


@pytest.mark.parametrize("fault", [503, 429])
async def test_a_stale_answer_is_given_in_place_of_an_error(fault: int) -> None:
    async with bench(answering(completion(), fault), **KEEP, stale_if_error="1h") as b:
        await b.ask()
        b.clock.passed = 400
        served = await b.ask()

        assert served.reply.status == 200
        assert status(served) == f'llmproxy; fwd=stale; fwd-status={fault}; ttl=-100; detail="stale-if-error"'
        assert served.reply.headers.get("age") == "400"


async def test_beyond_its_time_an_error_is_an_error() -> None:
    async with bench(answering(completion(), 503), **KEEP, stale_if_error="1m") as b:
        await b.ask()
        b.clock.passed = 400

        assert (await b.ask()).reply.status == 503


async def test_all_targets_down_is_an_error_too() -> None:
    async with bench(answering(completion()), **KEEP, stale_if_error="1h") as b:
        await b.ask()
        b.clock.passed = 400
        await b.upstream.__aexit__(None, None, None)
        served = await b.ask()

        assert (served.reply.status, "stale-if-error" in status(served)) == (200, True)


async def test_a_mistake_of_the_caller_is_told_and_not_hidden() -> None:
    async with bench(answering(completion(), 400), **KEEP, stale_if_error="1h") as b:
        await b.ask()
        b.clock.passed = 400

        assert (await b.ask()).reply.status == 400


async def test_a_burst_makes_one_call() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        served = await asyncio.gather(*[b.ask() for _ in range(50)])

        assert b.calls == 1
        assert len({bytes(each.reply.body) for each in served}) == 1  # type: ignore[arg-type]
        assert sum("collapsed" in status(each) or "hit" in status(each) for each in served) == 49


async def test_a_burst_past_the_cache_is_not_serialised() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        await asyncio.gather(*[b.ask(cache_control="no-store") for _ in range(5)])

        assert b.calls == 5


async def test_a_purge_takes_answers_by_their_tags() -> None:
    async with bench(answering(completion()), **KEEP, tags=["docs"], tags_header="x-tags") as b:
        (space,) = b.serving.generation.process.spaces.find().values()
        for tag, tenant in (("docs", "t"), ("manual", None)):
            await b.ask(x_tags="manual, 7")
            await space.purge(tag_slots("tag", tag, tenant=tenant))
            assert "miss" in status(await b.ask(x_tags="manual, 7"))
        await space.purge(tag_slots("tag", "docs", tenant="other"))

        assert "hit" in status(await b.ask())
