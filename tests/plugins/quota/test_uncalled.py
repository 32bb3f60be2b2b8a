"""Answers that no call was made for count at the share that their route charges."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from llmproxy.plugin import AccountScope, reserving
from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, Serving, running_route
from llmproxy_quota import QuotaPlugin

from .asking import ANSWER, MONEY, ask


@asynccontextmanager
async def caching(
    upstream: FakeUpstream, listed: list[str], limits: list[dict[str, Any]], charging: dict[str, Any]
) -> AsyncIterator[Serving]:
    """Serve with a cache on a route that charges for its answers."""
    own = {"cache": {"ttl": "5m", "invalidation": "tags"}}
    plugins = [{name: own.get(name, {})} for name in listed]
    route = {"name": "test", "upstream": "upstream", "plugins": plugins, "charging": charging}
    tables = {
        "quota": {"use": QuotaPlugin, "store": "counters", "limits": limits, "output": 50},
        "cache": {"use": "cache", "store": "kept"},
    }
    config = {
        "stores": {"counters": {"url": "memory://"}, "kept": {"url": "memory://"}},
        "plugins": {"openai": {"use": "openai"}},
        "models": {"gpt": "upstream/gpt"},
        "prices": {"upstream/*": {"input": 1, "output": 10}},
        "routes": [route],
    }
    async with running_route(tables, upstream=upstream, dialect="openai", config=config) as started:
        yield started


async def money_left(route: Serving) -> int:
    """Return how much a hard limit of money lets a further caller have, in microdollars."""
    plugin = next(each for each in route.generation.plugins if isinstance(each, QuotaPlugin))
    found = plugin._book.rules("acme", (AccountScope("tenant", "acme"),)).late[0]
    claim = reserving.Claim(b"look", plugin._book.tag("acme"), (reserving.Want(found.limit, 0, "shadow"),))
    return (await plugin._taker._kept.reserve(claim)).standings[0].left


@pytest.mark.parametrize("listed", [["quota", "cache"], ["cache", "quota"]])
async def test_hits_count_at_the_share_that_the_route_charges(api: FakeUpstream, listed: list[str]) -> None:
    limits = [MONEY | {"at_most": 0.01}]
    async with caching(api, listed, limits, {"hits": 0.5}) as route:
        served = [await route.serve(ask(temperature=0)) for _ in range(3)]
        left = await money_left(route)

    assert [each.exchange.outcome.result for each in served[1:]] == ["hit", "hit"]
    assert left == 10_000 - 60 - 30 - 30


async def test_a_hit_beyond_a_hard_limit_is_refused_where_limits_stand_above_the_cache(
    api: FakeUpstream,
) -> None:
    limits = [MONEY | {"at_most": 0.0022}]
    async with caching(api, ["quota", "cache"], limits, {"hits": 1}) as route:
        served = [await route.serve(ask(temperature=0)) for _ in range(40)]
        left = await money_left(route)

    statuses = [each.reply.status for each in served]
    assert statuses == [200] * 36 + [402] * 4
    assert left == 2200 - 36 * 60
    assert len(api.requests) == 1


@pytest.mark.parametrize("listed", [["quota", "cache"], ["cache", "quota"]])
@pytest.mark.parametrize(("share", "counted"), [(0.5, 90), (0, 60)])
async def test_followers_count_at_the_share_that_the_route_charges(
    listed: list[str], share: float, counted: int
) -> None:
    chunk = {"id": "1", "object": "chat.completion.chunk", "model": "gpt"}
    delta = {"index": 0, "delta": {"content": "Hi."}, "finish_reason": "stop"}
    events = [{"choices": [delta]}, {"choices": [], "usage": ANSWER["usage"]}]
    stream = [b"data: " + orjson.dumps(chunk | each) + b"\n\n" for each in events]
    upstream = FakeUpstream().stream([*stream, b"data: [DONE]\n\n"], delay=0.05)
    limits = [MONEY | {"at_most": 0.01}]
    async with upstream, caching(upstream, listed, limits, {"followers": share}) as route:
        leading = spawn(route.serve(ask(temperature=0, stream=True)), name="leading")
        await upstream.received()
        following = await route.serve(ask(temperature=0, stream=True))
        await leading
        left = await money_left(route)

    assert following.broken is None
    assert left == 10_000 - counted
    assert len(upstream.requests) == 1
