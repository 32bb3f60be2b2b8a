"""A question that one gateway has answered is answered by another in other words out of the store that they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from llmproxy.plugin import Caller
from llmproxy.testing import FakeUpstream, Serving, make_exchange, running_route
from llmproxy_cache import CachePlugin
from llmproxy_semantic import SemanticPlugin

pytest.importorskip("onnxruntime")

THINGS = ("router", "password", "printer", "account", "phone", "watch", "radio", "clock")


@asynccontextmanager
async def gateway(store: str, answer: str) -> AsyncIterator[Serving]:
    """Serve a route whose upstream always says the same."""
    message = {"role": "assistant", "content": answer}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    upstream = FakeUpstream()
    for _ in THINGS:
        upstream.reply(json={"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]})
    async with (
        upstream,
        running_route(
            {
                "semantic": {"use": SemanticPlugin, "policy": "strict"},
                "cache": {"use": CachePlugin, "store": "answers"},
            },
            upstream=upstream,
            dialect="openai",
            options={"cache": {"ttl": "5m", "invalidation": "tags"}, "semantic": {"within": "5s"}},
            config={"stores": {"answers": {"url": store}}},
        ) as serving,
    ):
        yield serving


async def ask(serving: Serving, text: str) -> str:
    body: dict[str, Any] = {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": text}]}
    exchange = make_exchange("POST", "/v1/chat/completions", body=body, caller=Caller("t", "k"))
    served = await serving.serve(exchange)
    answer = orjson.loads(bytes(served.reply.body))  # type: ignore[arg-type]
    return str(answer["choices"][0]["message"]["content"])


async def answers_in_other_words(store: str) -> bool:
    """Whether what one gateway was asked is answered by another that shares its store, soon after."""
    async with gateway(store, "from one") as one, gateway(store, "from another") as another:
        for pause, thing in enumerate(THINGS, 1):
            assert await ask(one, f"How do I reset my {thing}?") == "from one"
            await asyncio.sleep(pause / 5)  # its vector is made when there is time
            if await ask(another, f"How can I reset my {thing}?") == "from one":
                return True
    return False


async def test_of_two_gateways_over_one_valkey(valkey: Any) -> None:
    url = f"valkey://{valkey.host}:{valkey.port}/0?prefix={uuid4().hex}:&timeout=2s"

    assert await answers_in_other_words(url)


async def test_of_two_gateways_over_one_lmdb(tmp_path: Path) -> None:
    assert await answers_in_other_words(f"lmdb://{tmp_path}/store")
