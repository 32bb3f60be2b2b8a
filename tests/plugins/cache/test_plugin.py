"""The cache in a real pipeline, before a scripted upstream."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

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
from llmproxy.plugin import (
    Event,
    EventTransform,
    Exchange,
    NoConfig,
    Plugin,
    Reply,
    hookimpl,
    profile_table,
)
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
