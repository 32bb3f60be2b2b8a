"""From a request to what is kept, and what a caller says of it."""

from __future__ import annotations

from tests.plugins.cache.talking import (
    KEEP,
    answering,
    bench,
    body,
    completion,
    status,
)


async def test_an_answer_ends_with_its_time() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        await b.ask()
        b.clock.passed = 301

        assert "fwd=stale" in status(await b.ask())
        assert b.calls == 2


async def test_a_caller_may_go_past_the_cache_or_have_an_answer_made_anew() -> None:
    answers = [completion(str(number)) for number in range(4)]
    async with bench(answering(*answers), **KEEP) as b:

        async def told(**headers: str) -> str:
            return str(body(await b.ask(**headers))["choices"][0]["message"]["content"])

        assert await told() == "0"
        assert await told(x_llmproxy_cache="bypass") == "1"
        assert await told() == "0"
        assert await told(x_llmproxy_cache="refresh") == "2"
        assert await told() == "2"
        assert await told(cache_control="no-cache") == "3"
        assert await told() == "3"


async def test_a_caller_says_how_old_an_answer_may_be() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        await b.ask()
        b.clock.passed = 100

        assert "hit" in status(await b.ask(cache_control="max-age=200"))
        assert "fwd=request" in status(await b.ask(cache_control="max-age=50"))


async def test_a_caller_may_want_no_call_at_all() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        refused = await b.ask(cache_control="only-if-cached")
        await b.ask()

        assert (refused.reply.status, body(refused)["error"]["code"]) == (504, "not_cached")
        assert "fwd=miss" in status(refused)
        assert (await b.ask(cache_control="only-if-cached")).reply.status == 200


async def test_what_the_route_does_not_allow_is_not_obeyed() -> None:
    async with bench(answering(completion()), **KEEP, control=[]) as b:
        await b.ask()

        assert "hit" in status(await b.ask(cache_control="no-cache", x_llmproxy_cache="refresh"))


async def test_a_wish_that_cannot_be_read_is_refused() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        refused = await b.ask(x_llmproxy_cache="refesh")

        assert (refused.reply.status, body(refused)["error"]["code"]) == (400, "invalid_cache_header")
