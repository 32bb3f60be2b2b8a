"""Runs pairs of prompts through a gateway: stores the answer to the first, asks the second, sees what is served.

The gateway is a whole one, on a loopback port, asked by HTTP as callers ask it; its upstream gives each prompt back, so
that every answer tells whose it is. It never hears of labels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

import orjson

from llmproxy.testing import RawClient, running_gateway
from llmproxy_semantic.pairs import Pair, Served

_CALLERS: Final = 8
#: Pairs that are stored before their second prompts are asked: fewer than may wait to be embedded.
_TOGETHER: Final = 500
_BEHIND: Final = frozenset({"cache-store", "semantic:embed", "semantic:keep-row"})
_HEAD: Final = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b"
)


async def evaluate(pairs: Sequence[Pair], route: dict[str, Any], plugin: dict[str, Any]) -> list[Served]:
    """Return how the second prompt of each pair was answered, each pair in a partition of its own."""
    served: dict[int, Served] = {}

    async def store(client: RawClient, number: int) -> None:
        await _ask(client, number, pairs[number].prompt_a)

    async def ask(client: RawClient, number: int) -> None:
        served[number] = Served(pairs[number], await _tier(client, number, pairs[number]))

    async with running_gateway(_config(route, plugin)) as gateway:
        for at in range(0, len(pairs), _TOGETHER):
            some = range(at, min(at + _TOGETHER, len(pairs)))
            await _in_parallel(gateway.url, store, some)
            await _findable()
            await _in_parallel(gateway.url, ask, some)
    return [served[number] for number in range(len(pairs))]


async def _in_parallel(
    url: str, do: Callable[[RawClient, int], Awaitable[None]], numbers: Iterable[int]
) -> None:
    waiting = iter(numbers)

    async def caller() -> None:
        async with RawClient(url, timeout=60.0) as client:
            for number in waiting:
                await do(client, number)

    async with asyncio.TaskGroup() as group:
        for _ in range(_CALLERS):
            group.create_task(caller())


async def _findable() -> None:
    """Wait for what makes answers findable behind callers' backs."""
    while work := [task for task in asyncio.all_tasks() if task.get_name() in _BEHIND]:
        await asyncio.wait(work)


async def _tier(client: RawClient, number: int, pair: Pair) -> str:
    status, answer = await _ask(client, number, pair.prompt_b)
    if "; hit" not in status:
        return ""
    if answer != pair.prompt_a:
        raise RuntimeError(f"pair {number} was given an answer of another pair's")
    _, found, detail = status.partition('detail="')
    return detail.partition('"')[0] if found else "hit"


async def _ask(client: RawClient, number: int, prompt: str) -> tuple[str, str]:
    """Ask once; return how the cache took it, and the answer."""
    # What stands in the system prompt makes the partition.
    turns = [{"role": "system", "content": f"pair {number}"}, {"role": "user", "content": prompt}]
    body = orjson.dumps({"model": "demo/echo", "temperature": 0, "messages": turns})
    reply = await client.exchange(_HEAD % (len(body), body))
    if reply.status != 200:
        raise RuntimeError(f"pair {number}: status {reply.status}: {reply.body[:200]!r}")
    answer = orjson.loads(reply.body)["choices"][0]["message"]["content"]
    return reply.header("cache-status") or "", str(answer)


def _config(route: dict[str, Any], plugin: dict[str, Any]) -> dict[str, Any]:
    return {
        "log": {"level": "warning"},
        "stores": {"answers": {"url": "memory://?max_bytes=512MiB"}},
        "upstreams": {"demo": {"base_url": "http://demo.invalid", "dialect": "demo"}},
        "plugins": {"semantic": plugin, "cache": {"store": "answers"}},
        "routes": [
            {
                "name": "evaluated",
                "upstream": "demo",
                "plugins": [{"semantic": route}, {"cache": {"profile": "deterministic", "ttl": "1h"}}],
            }
        ],
    }
