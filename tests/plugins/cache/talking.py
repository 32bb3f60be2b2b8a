"""A route with the cache, a scripted upstream, a clock that is set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson

from llmproxy.caching.flights import Flights
from llmproxy.plugin import Caller, Clock
from llmproxy.testing import FakeUpstream, Served, Serving, make_exchange, make_process, running_route
from llmproxy_cache import CachePlugin

STORES = {"stores": {"answers": {"url": "memory://"}}}
ASK: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "temperature": 0,
}
KEEP: dict[str, Any] = {"ttl": "5m", "invalidation": "tags"}


class Hands(Clock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.passed = 0.0

    def wall(self) -> float:
        return 1_700_000_000.0 + self.passed


def completion(text: str = "Paris", finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8},
    }


def chunks(*texts: str, finish: str | None = "stop") -> list[str]:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        told = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        return f"data: {orjson.dumps(told).decode()}\n\n"

    usage: dict[str, Any] = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [],
    }
    usage["usage"] = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    return [
        chunk({"role": "assistant", "content": ""}),
        *[chunk({"content": text}) for text in texts],
        *([chunk({}, finish)] if finish else []),
        f"data: {orjson.dumps(usage).decode()}\n\n",
        "data: [DONE]\n\n",
    ]


class Bench:
    """A served route, its upstream and its clock."""

    def __init__(self, serving: Serving, upstream: FakeUpstream, clock: Hands) -> None:
        self.serving = serving
        self.upstream = upstream
        self.clock = clock

    @property
    def calls(self) -> int:
        return len(self.upstream.requests)

    @property
    def following(self) -> int:
        """How many callers wait for another's call."""
        shared = [entry.opened.result() for entry in self.serving.generation.process.shared._entries.values()]
        flying = [each._flying.values() for each in shared if isinstance(each, Flights)]
        return sum(len(flight.cabin.followers) for flights in flying for flight in flights)

    async def ask(
        self,
        body: Any = None,
        path: str = "/v1/chat/completions",
        *,
        tenant: str = "t",
        key: str = "k",
        team: str = "",
        method: str = "POST",
        **headers: str,
    ) -> Served:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        caller = Caller(tenant, key, (("team", team),) if team else ())
        exchange = make_exchange(
            method, path, headers=fields, body=ASK if body is None else body, caller=caller
        )
        served = await self.serving.serve(exchange)
        await settle()
        return served


async def settle() -> None:
    """Let what goes on behind callers' backs come to its end."""
    for _ in range(20):
        await asyncio.sleep(0)
    names = {"cache:refresh", "cache:keep-form", "flight"}
    while work := [task for task in asyncio.all_tasks() if task.get_name() in names]:
        await asyncio.wait(work)


def status(served: Served) -> str:
    return served.reply.headers.get("cache-status") or ""


def body(served: Served) -> Any:
    return orjson.loads(bytes(served.reply.body))  # type: ignore[arg-type]


@asynccontextmanager
async def bench(
    script: Callable[[FakeUpstream], Any] | None = None,
    *,
    dialect: str = "openai",
    show_key: bool = False,
    **route: Any,
) -> AsyncIterator[Bench]:
    upstream = FakeUpstream()
    if script is not None:
        script(upstream)
    clock = Hands()
    async with (
        upstream,
        running_route(
            {"cache": {"use": CachePlugin, "store": "answers", "show_key": show_key}},
            upstream=upstream,
            dialect=dialect,
            options={"cache": route},
            config=STORES,
            process=make_process(clock),
        ) as serving,
    ):
        yield Bench(serving, upstream, clock)


def answering(*answers: Any) -> Callable[[FakeUpstream], Any]:
    """Answer each call with the next of these, the last one again and again."""

    def script(upstream: FakeUpstream) -> None:
        for answer in answers:
            upstream.reply(json=answer) if isinstance(answer, dict) else upstream.reply(
                answer, json={"error": {}}
            )

    return script


def streaming(*events: str, **how: Any) -> Callable[[FakeUpstream], Any]:
    return lambda upstream: upstream.stream([event.encode() for event in events], **how)
