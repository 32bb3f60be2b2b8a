"""The cache in a real pipeline, before a scripted upstream."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import orjson
import pytest
from tests.plugins.cache.talking import (
    ASK,
    KEEP,
    STORES,
    Bench,
    Hands,
    answering,
    bench,
    body,
    chunks,
    completion,
    status,
    streaming,
)

import llmproxy_cache
from llmproxy.caches import tag_slots
from llmproxy.caching.profiles import profile_table
from llmproxy.plugin import CallNext, Event, EventTransform, Exchange, NoConfig, Plugin, Reply, hookimpl
from llmproxy.testing import FakeUpstream, PluginContract, running_route
from llmproxy_cache import CachePlugin


class TestContract(PluginContract):
    plugin_class = CachePlugin
    config: ClassVar[dict[str, Any]] = {"store": "answers"}
    route: ClassVar[dict[str, Any]] = {"profile": "faq"}
    more: ClassVar[dict[str, Any]] = STORES


async def test_the_second_of_two_equal_questions_is_a_hit() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        first, second = await b.ask(), await b.ask({**ASK, "stream": False, "user": "x"})

        assert b.calls == 1
        assert status(first) == "llmproxy; fwd=miss; fwd-status=200; stored"
        assert status(second) == "llmproxy; hit; ttl=300"
        assert body(second) == body(first)
        assert second.reply.headers.get("age") == "0"
        assert second.exchange.outcome.cache == "hit"


async def test_the_names_of_keys_are_told_if_that_is_wanted_and_are_the_same_for_a_hit() -> None:
    async with bench(answering(completion()), show_key=True, **KEEP) as b:
        first, second = status(await b.ask()), status(await b.ask())
        name = first.partition('key="')[2].rstrip('"')

        assert len(name) == 32
        assert second == f'llmproxy; hit; ttl=300; key="{name}"'


async def test_two_tenants_make_two_calls() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        await b.ask(tenant="one")
        other = await b.ask(tenant="two")

        assert b.calls == 2
        assert "miss" in status(other)


async def test_nothing_is_kept_by_default() -> None:
    async with bench(answering(completion())) as b:
        await b.ask()
        second = await b.ask()

        assert b.calls == 2
        assert status(second) == 'llmproxy; fwd=bypass; fwd-status=200; detail="stateless"'
        assert second.reply.headers.get("cache-control") == "private, no-store"


async def test_an_unknown_call_goes_past_the_cache() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        assert 'detail="unknown-call"' in status(await b.ask(path="/v1/batches"))
        assert 'detail="method"' in status(await b.ask(b"", path="/v1/files", method="GET"))


def test_the_readme_shows_the_profiles_as_they_are() -> None:
    readme = Path(llmproxy_cache.__file__).with_name("README.md").read_text(encoding="utf-8")

    assert profile_table() in readme


class Shouting(Plugin[NoConfig]):
    """Changes every stream, and every whole body."""

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        if isinstance(reply.body, bytes):
            reply.body = reply.body.replace(b"Paris", b"PARIS")

    @hookimpl
    def transform_stream(self, exchange: Exchange) -> EventTransform:
        return Loud()


class Loud:
    def feed(self, event: Event) -> list[Event]:
        return [event.replace(data=event.data.replace(b"Paris", b"PARIS"))]

    def close(self) -> list[Event]:
        return []


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_hit_passes_what_plugins_above_do_to_answers(streamed: bool) -> None:
    async with FakeUpstream() as upstream:
        (streaming(*chunks("Paris")) if streamed else answering(completion()))(upstream)
        plugins = {"shouting": {"use": Shouting}, "cache": {"use": CachePlugin, "store": "answers"}}
        how: dict[str, Any] = {"dialect": "openai", "options": {"cache": KEEP}, "config": STORES}
        async with running_route(plugins, upstream=upstream, **how) as serving:
            b = Bench(serving, upstream, Hands())
            served = [await b.ask({**ASK, "stream": streamed}) for _ in range(3)]

    assert [each.body for each in served] == [served[0].body] * 3
    assert b"PARIS" in served[0].body
    assert len(upstream.requests) == 1


async def test_what_is_said_to_the_cache_alone_goes_no_further() -> None:
    async with bench(answering(completion()), **KEEP, tags_header="x-tags") as b:
        await b.ask(x_llmproxy_cache="refresh", x_tags="a", x_other="b")
        told = b.upstream.requests[0]

        assert (told.header("x-llmproxy-cache"), told.header("x-tags"), told.header("x-other")) == (
            None,
            None,
            "b",
        )


class Origin(Plugin[NoConfig]):
    """Answers each call with who asked what, and a number that grows."""

    number = 0

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        number = Origin.number = Origin.number + 1
        asked = orjson.loads(await exchange.body())
        said = {
            "tenant": exchange.caller.tenant,
            "user": asked.get("user"),
            "asked": asked["seed"],
            "number": number,
        }
        await asyncio.sleep(0)
        return Reply.json(completion(orjson.dumps(said).decode()))


async def test_nobody_gets_what_is_anothers_or_was_purged() -> None:
    chance, purged = Random(7), {"one": 0, "two": 0, "three": 0}
    plugins = {"cache": {"use": CachePlugin, "store": "answers"}, "origin": {"use": Origin}}
    how: dict[str, Any] = {"dialect": "openai", "options": {"cache": KEEP}, "config": STORES}
    async with FakeUpstream() as upstream, running_route(plugins, upstream=upstream, **how) as serving:
        (space,) = serving.generation.process.spaces.find().values()
        b = Bench(serving, upstream, Hands())

        async def step() -> None:
            tenant, user, seed = chance.choice([*purged]), chance.choice("ab"), chance.randrange(4)
            scope = chance.choice(["scope=end-user", "ttl=1m", ""])
            fields = {"x_llmproxy_cache": scope} if scope else {}
            since = purged[tenant]
            served = await b.ask({**ASK, "seed": seed, "user": user}, tenant=tenant, **fields)
            said = orjson.loads(body(served)["choices"][0]["message"]["content"])

            assert (said["tenant"], said["asked"]) == (tenant, seed)
            assert said["number"] > since
            assert scope != "scope=end-user" or said["user"] == user

        for _ in range(150):
            await asyncio.gather(*[step() for _ in range(8)])
            if chance.random() < 0.3:
                tenant = chance.choice([*purged])
                await space.purge(tag_slots("all", tenant=tenant))
                purged[tenant] = Origin.number
    hits = 1200 - Origin.number

    assert hits > 200
