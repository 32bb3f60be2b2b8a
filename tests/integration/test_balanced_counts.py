"""Callers leave at any moment, places fail in every way, configurations change: nothing that is counted stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import orjson
import pytest

from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway
from llmproxy_balance import BalancePlugin
from llmproxy_shedding import SheddingPlugin

from .test_fallback import ANSWER, EVENTS

#: What an upstream answers, in turn, mostly badly.
HEAD = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n"
KEYS = {"KEY_1": "key-0123456789", "KEY_2": "key-9876543210"}
BODY = orjson.dumps(ANSWER)


def faulty(seed: int) -> FakeUpstream:
    """Return an upstream that answers in any way there is."""
    chance, upstream = Random(seed), FakeUpstream()
    good = HEAD % b"200 OK" + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    ways: list[Any] = [
        lambda: upstream.reply(json=ANSWER),
        lambda: upstream.raw(chance.random() * 0.05, good, then="keep"),
        lambda: upstream.stream(EVENTS, delay=0.01),
        lambda: upstream.stream(EVENTS[:1], then="reset", after=150),
        lambda: upstream.stream(EVENTS, delay=0.02, then="stall", after=200),
        lambda: upstream.reply(500, json={"error": {"message": "No."}}),
        lambda: upstream.reply(429, json={"error": {}}, headers=[("retry-after-ms", "20")]),
        lambda: upstream.reply(401, json={"error": {"message": "No."}}),
        lambda: upstream.raw(HEAD % b"503 No" + b"Content-Length: 999\r\n\r\n{", 0.05, then="stall"),
        lambda: upstream.raw(HEAD % b"400 No" + b"Content-Length: 999\r\n\r\n{", 0.05, then="reset"),
        upstream.reset,
        upstream.stall,
    ]
    for _ in range(2000):
        chance.choice(ways)()
    return upstream


def config(urls: dict[str, str], seed: int) -> dict[str, Any]:
    """Return a configuration with all that counts something; two pools share their places."""
    health = {"rest": "50ms", "longest_rest": "100ms", "park": "50ms", "climb": "20ms", "failures": 2}
    limited = [{"upstream": name, "limit": 2} for name in ("a", "b")]
    return {
        "upstreams": {
            name: {
                "base_url": f"{url}/v1",
                "proxy": None,
                "api_key": ["${env:KEY_1}", "${env:KEY_2}"],
                "timeouts": {"total": "1s", "headers": "200ms", "first_token": "200ms", "idle": "300ms"},
            }
            for name, url in urls.items()
        },
        "pools": {
            "inner": {"strategy": "p2c", "targets": limited},
            "outer": {"strategy": "least_in_flight", "targets": [{"pool": "inner"}, "c"]},
            "hedged": {
                "strategy": "weighted",
                "targets": ["a", {"upstream": "b", "limit": 2, "weight": 0}, "c"],
            },
            "mirrored": {"targets": ["a", "b", {"upstream": "c", "mirror": 0.5}]},
        },
        "models": {name: {"pool": name} for name in ("inner", "outer", "hedged", "mirrored")},
        "plugins": {
            "balance": {
                "seed": seed,
                "backoff": "5ms",
                "retries": 1,
                "hedge": {"after": "5ms", "most": 2},
                "health": health,
                "queue": {"length": 8, "wait": "100ms", "target": "20ms", "interval": "50ms"},
                "affinity": {"by": ["header:x-session"], "always": True},
            },
            "shedding": {"in_flight": 60, "lag": None},
        },
        "routes": [{"name": "all", "attempts": 4, "deadline": "2s"}],
    }


@asynccontextmanager
async def upstreams(seed: int) -> AsyncIterator[dict[str, str]]:
    """Serve three of them."""
    async with faulty(seed) as one, faulty(seed + 1) as two, faulty(seed + 2) as three:
        yield {"a": one.url, "b": two.url, "c": three.url}


async def call(gateway: RunningGateway, chance: Random) -> None:
    """Ask, and leave at any moment: mostly before the answer, sometimes never."""
    body = {"model": chance.choice(["inner", "outer", "hedged", "mirrored"]), "messages": []}
    data = orjson.dumps({**body, "stream": chance.random() < 0.5})
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    fields = [f"x-llmproxy-timeout: {chance.randrange(0, 300)}ms"] if chance.random() < 0.3 else []
    fields += [
        f"x-session: {chance.randrange(5)}",
        f"content-length: {len(data)}",
        "host: g",
        "connection: close",
    ]
    head = "\r\n".join(["POST /v1/chat/completions HTTP/1.1", "content-type: application/json", *fields])
    writer.write(f"{head}\r\n\r\n".encode() + data)
    try:
        await asyncio.wait_for(reader.read(), chance.choice([0.0, 0.001, 0.005, 0.006, 0.02, 0.1, 5.0]))
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.transport.abort()


def counted(plugins: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield all that is counted, and is not zero."""
    for plugin in plugins:
        if isinstance(plugin, SheddingPlugin):
            yield "shed", plugin._in_flight
            continue
        walker = plugin._walker
        yield "attempts in flight", walker.budget.active
        yield "retries in flight", walker.budget.retrying
        yield "slots", walker.limits._slots.taken
        yield "lines", walker.limits._slots.lines
        yield "mirrored", plugin._escort._mirrors.under_way
        for endpoint, record in walker.watcher.roll.records.items():
            yield f"in flight at {endpoint.upstream}", record.in_flight
            yield f"trials of {endpoint.upstream}", record.health._trials._begun


async def settled(plugins: list[Any]) -> list[tuple[str, Any]]:
    """Return what is still counted when everybody had time to end."""
    for _ in range(300):
        left = [(name, count) for name, count in counted(plugins) if count]
        if not left:
            break
        await asyncio.sleep(0.01)
    return left


async def stress(seed: int, calls: int, reloads: int) -> list[tuple[str, Any]]:
    """Let callers come and go, in crowds of different sizes; return what stays counted."""
    chance = Random(seed)
    async with upstreams(seed) as urls, running_gateway(config(urls, seed), environ=KEYS) as gateway:
        plugins: list[Any] = []

        async def keep() -> None:
            plugins.extend(
                each
                for each in gateway.gateway.current.plugins
                if isinstance(each, BalancePlugin | SheddingPlugin)
            )

        await keep()
        for turn in range(reloads + 1):
            crowd = [call(gateway, Random(chance.random())) for _ in range(calls // (reloads + 1))]
            running = [asyncio.ensure_future(each) for each in crowd[: len(crowd) // 2]]
            if turn:
                assert (await gateway.reload(config(urls, seed + turn))).ok
                await keep()
            for each in crowd[len(crowd) // 2 :]:
                running.append(asyncio.ensure_future(each))
                await asyncio.sleep(chance.random() * 0.01)
            await asyncio.wait(running)
        return await settled(plugins)


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_stays_counted_of_callers_who_left_at_any_moment(seed: int) -> None:
    assert await stress(seed, 240, 2) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
async def test_nothing_stays_counted_of_many_callers(seed: int) -> None:
    assert await stress(seed, 3000, 6) == []
