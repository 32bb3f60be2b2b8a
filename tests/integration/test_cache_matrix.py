"""A matrix: each dialect, whole and as a stream, live and from what was kept of every other: the SDKs see the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from llmproxy.caches import Forms
from llmproxy.plugin import Exchange, Form, NoConfig, Plugin, Reply, Runtime, StoredReply, hookimpl
from llmproxy.testing import running_gateway

from .asking_sdks import ALL, SCENARIOS, Asking, Sdks, sdks
from .sdks import PREFIXES, config
from .strict_provider import StrictProvider

#: The SDK's own session is a subclass, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

NAME = "x-kept-as"

#: What the default run asks: thoughts, signatures and calls; the rest is for the long one.
QUICK = {"thinking-tools"}


class Keeper(Plugin[NoConfig]):
    """Keeps answers under a name that the caller gives, and derives what is asked for from what was kept first."""

    kept: dict[str, list[tuple[Form, StoredReply]]]
    told: list[str]
    forms: Forms

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        type(self).kept, type(self).told = {}, []
        self.forms = runtime.forms
        yield

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        name = exchange.request.headers.get(NAME)
        exchange.spent |= {NAME.encode()}
        await exchange.body()
        if name is None or name not in self.kept:
            self.forms.want_own(exchange, 1 << 20)
            return None
        target = self.forms.asked(exchange)
        assert target is not None
        for form, stored in self.kept[name]:
            if form.same(target):
                self.told.append("same")
                return stored.replay()
        source, stored = self.kept[name][-1]
        derived = await self.forms.derive(exchange, stored, source)
        self.told.append(derived.why or "derived")
        return None if derived.reply is None else derived.reply.replay()

    @hookimpl
    async def cache_store(self, exchange: Exchange, reply: StoredReply) -> None:
        name = exchange.request.headers.get(NAME)
        if name is not None:
            form = self.forms.kept(exchange, reply.replay())
            assert form is not None
            own = self.forms.own(exchange)
            self.kept[name] = [(form, reply), *([own] if own else [])]


@pytest.fixture
async def provider() -> AsyncIterator[StrictProvider]:
    async with StrictProvider() as found:
        yield found


@pytest.fixture
async def asking(provider: StrictProvider) -> AsyncIterator[Sdks]:
    tree = config(provider.url, plugins=["keeper"])
    tree["plugins"]["keeper"] = {"use": Keeper}
    async with running_gateway(tree) as gateway, sdks(gateway.url) as found:
        yield found


async def live(asking: Sdks, who: Asking, upstream: str, scenario: str) -> object:
    return await asking.ask(who, upstream, scenario, {})


@pytest.mark.parametrize(
    "scenario", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SCENARIOS]
)
@pytest.mark.parametrize("upstream", PREFIXES)
async def test_what_was_kept_of_one_caller_is_what_every_other_would_have_got(
    asking, provider, upstream, scenario
):
    expected = {who: await live(asking, who, upstream, scenario) for who in ALL}
    for first in ALL:
        Keeper.told.clear()
        kept = {NAME: str(first)}
        await asking.ask(first, upstream, scenario, kept)
        calls = len(provider.bodies)
        for who in ALL:
            got = await asking.ask(who, upstream, scenario, kept)

            assert got == expected[who], f"{who} of what {first} was told"
        assert len(provider.bodies) == calls
        assert set(Keeper.told) <= {"same", "derived"}


@pytest.mark.parametrize(
    "first", [Asking("chat", streamed=True), Asking("messages", streamed=False)], ids=str
)
@pytest.mark.parametrize("upstream", ["openai", "anthropic"])
async def test_usage_is_told_at_a_streams_end_to_those_alone_who_asked_for_it(asking, upstream, first):
    kept = {NAME: "usage"}
    await asking.ask(first, upstream, "plain", kept)
    bare = [chunk async for chunk in await asking.chunks(upstream, "Hi", kept)]
    full = [chunk async for chunk in await asking.chunks(upstream, "Hi", kept, include_usage=True)]

    assert [chunk.usage for chunk in bare if chunk.usage] == []
    assert [chunk.usage.total_tokens for chunk in full if chunk.usage] == [60]
    assert all(chunk.choices for chunk in bare)
    assert set(Keeper.told) <= {"same", "derived"}


# The same with the cache of the gateway, which finds by what was asked whose answer it is.

CACHE = {"ttl": "5m", "invalidation": "ttl", "sampled": True, "across_dialects": True}
LIVE = {"x-llmproxy-cache": "bypass"}

#: What every dialect asks in its own words and means alike; tools and thinking have settings of their own in each.
ALIKE = {"plain", "cited"}
#: Answers that were cut short or refused are not kept.
KEPT = ["plain", "cited", "thinking", "tools", "thinking-tools"]
CACHED = {"plain", "thinking-tools"}


def cached_config(provider: StrictProvider, **more: str) -> dict[str, Any]:
    """Return a gateway that caches, before a provider of every dialect."""
    tree = config(provider.url, plugins=[{"cache": {**CACHE, **more}}])
    tree["stores"] = {"answers": "memory://"}
    tree["plugins"]["cache"] = {"store": "answers"}
    return tree


@pytest.fixture
async def cached(provider: StrictProvider) -> AsyncIterator[Sdks]:
    async with running_gateway(cached_config(provider)) as gateway, sdks(gateway.url) as found:
        yield found


@pytest.mark.parametrize(
    "scenario", [name if name in CACHED else pytest.param(name, marks=pytest.mark.slow) for name in KEPT]
)
@pytest.mark.parametrize("upstream", PREFIXES)
async def test_the_cache_gives_every_caller_what_it_would_have_got(cached, provider, upstream, scenario):
    expected = {who: await cached.ask(who, upstream, scenario, LIVE) for who in ALL}
    for first in ALL:
        alike = ALL if scenario in ALIKE else [who for who in ALL if who.dialect == first.dialect]
        about = f"({first})"
        before = len(provider.bodies)
        for who in (first, *alike, *alike):
            got = await cached.ask(who, upstream, scenario, {}, about=about)

            assert got == expected[who], f"{who} of what {first} was told"
        assert len(provider.bodies) == before + 1


@pytest.mark.parametrize("first", [Asking("chat", streamed=True), Asking("chat", streamed=False)], ids=str)
@pytest.mark.parametrize("upstream", ["openai", "anthropic"])
async def test_the_cache_tells_usage_at_a_streams_end_to_those_alone_who_asked_for_it(
    cached, provider, upstream, first
):
    await cached.ask(first, upstream, "plain", {})
    before = len(provider.bodies)
    for _ in range(2):
        bare = [chunk async for chunk in await cached.chunks(upstream, "Hi", {})]
        full = [chunk async for chunk in await cached.chunks(upstream, "Hi", {}, include_usage=True)]

        assert [chunk.usage for chunk in bare if chunk.usage] == []
        assert [chunk.usage.total_tokens for chunk in full if chunk.usage] == [60]
    assert len(provider.bodies) == before


@pytest.mark.slow
async def test_a_kept_stream_leaves_piece_by_piece_where_the_route_says_so(provider):
    tree = cached_config(provider, pace="recorded")
    body = {"model": "openai/m", "stream": True, "messages": [{"role": "user", "content": "slow"}]}
    async with running_gateway(tree) as gateway, aiohttp.ClientSession() as session:
        came = []
        for _ in range(2):
            async with session.post(f"{gateway.url}/v1/chat/completions", json=body) as reply:
                came.append([piece async for piece in reply.content.iter_any()])
        at_once = {**body, "stream": False}
        async with session.post(f"{gateway.url}/v1/chat/completions", json=at_once) as reply:
            whole = await reply.json()

    assert b"".join(came[0]) == b"".join(came[1])
    assert len(came[1]) > 5
    assert whole["choices"][0]["message"]["content"] == "Hello there, this is an answer. " * 20
    assert len(provider.bodies) == 1
