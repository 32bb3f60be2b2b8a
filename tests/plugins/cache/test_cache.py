"""From a request to a reply: what is looked up, who is asked."""

from __future__ import annotations

import asyncio

import pytest
from tests.plugins.cache.talking import (
    ASK,
    KEEP,
    answering,
    bench,
    chunks,
    completion,
    status,
    streaming,
)

from llmproxy.caches import tag_slots
from llmproxy.plugin import Caller
from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, make_exchange


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


async def test_a_purge_covers_an_answer_that_is_on_its_way() -> None:
    streamed = {**ASK, "stream": True}
    async with bench(streaming(*chunks("Pa", "ris"), delay=0.05), **KEEP) as b:
        (space,) = b.serving.generation.process.spaces.find().values()
        asking = asyncio.create_task(b.ask(streamed))
        await b.upstream.received(1)
        await space.purge(tag_slots("route", "test"))
        late = await b.ask(streamed)
        early = await asking

        assert b.calls == 2
        assert early.body == late.body
        assert "hit" in status(await b.ask(streamed))


@pytest.mark.parametrize("moment", ["nothing came", "its head came", "its output came"])
async def test_a_caller_who_leaves_harms_nobody(moment: str) -> None:
    streamed = {**ASK, "stream": True}
    exchange = make_exchange("POST", "/v1/chat/completions", body=streamed, caller=Caller("t", "k"))
    async with bench(streaming(*chunks("Pa", "ris"), delay=0.05), **KEEP) as b:
        leader = spawn(b.serving.serve(exchange), name="leader")
        await b.upstream.received(1)
        follower = spawn(b.ask(streamed), name="follower")
        while not b.following:
            await asyncio.sleep(0)
        while moment == "its head came" and exchange.attempts[0].body is None:
            await asyncio.sleep(0)
        while moment == "its output came" and exchange.attempts[0].first_output_at is None:
            await asyncio.sleep(0)
        leader.cancel()
        served = await follower

        assert served.broken is None
        assert b"ris" in served.body
        assert b.calls == 1
        assert "hit" in status(await b.ask(streamed))


async def test_nothing_purged_while_the_provider_failed_is_given_in_place_of_its_error() -> None:
    def script(upstream: FakeUpstream) -> None:
        answering(completion())(upstream)
        upstream.raw(0.2, b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}")

    async with bench(script, **KEEP, stale_if_error="1h") as b:
        await b.ask()
        b.clock.passed = 400
        asking = spawn(b.ask(), name="caller")
        await b.upstream.received(2)
        (space,) = b.serving.generation.process.spaces.find().values()
        await space.purge(tag_slots("tenant", "t"))
        served = await asking

        assert served.reply.status == 503


async def test_who_wants_what_is_kept_alone_makes_no_call_for_a_stale_answer_in_no_form_of_his() -> None:
    events = chunks("Paris")
    async with bench(streaming(*events[:-2], events[-1]), **KEEP, stale_while_revalidate="1h") as b:
        await b.ask({**ASK, "stream": True, "stream_options": {"include_usage": True}})
        b.clock.passed = 400
        served = await b.ask(cache_control="only-if-cached")

        assert served.reply.status == 504
        assert b.calls == 1


@pytest.mark.parametrize("code", [200, 400])
async def test_what_is_about_the_leaders_call_is_told_to_the_leader_alone(code: int) -> None:
    fields = [
        ("Set-Cookie", "a=b"),
        ("Request-Id", "r"),
        ("X-RateLimit-Left", "5"),
        ("Traceparent", "0"),
        ("A", "b"),
    ]

    def script(upstream: FakeUpstream) -> None:
        upstream.reply(code, json=completion(), headers=fields)

    async with bench(script, **KEEP) as b:
        served = await asyncio.gather(*[b.ask() for _ in range(3)])
        joined = [each for each in served if "collapsed" in status(each)]

        assert len(joined) == 2
        for each in joined:
            assert [name for name, _ in fields if name in each.reply.headers] == ["A"]


async def test_one_callers_refresh_splits_nobody_elses_burst() -> None:
    def script(upstream: FakeUpstream) -> None:
        answering(completion())(upstream)
        upstream.raw(0.3, b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}")
        answering(completion())(upstream)

    other = {**ASK, "messages": [{"role": "user", "content": "?"}]}
    async with bench(script, **KEEP) as b:
        await b.ask()
        first = spawn(b.ask(other, tenant="bob"), name="caller")
        await b.upstream.received(2)
        refresh = spawn(b.ask(cache_control="no-cache"), name="caller")
        await b.upstream.received(3)
        await asyncio.gather(first, refresh, b.ask(other, tenant="bob"))

        assert b.calls == 3
