"""A route with a ledger before a scripted provider, and the rows that it leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from llmproxy.plugin import Exchange
from llmproxy.runtime import Process
from llmproxy.testing import FakeUpstream, Serving, make_exchange, running_route
from llmproxy_ledger import LedgerPlugin
from llmproxy_ledger.books import FILE, Books
from llmproxy_ledger.entries import COLUMNS

#: A dollar for a million tokens of input, ten for output: a token costs a microdollar, or ten.
PRICES = {"upstream/gpt": {"input": 1, "output": 10}}


def answer(tokens: int = 5) -> dict[str, Any]:
    """Return a whole chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}
    return {"id": "c1", "object": "chat.completion", "model": "gpt", "choices": [choice], "usage": usage}


def event(text: str | None = None, usage: int | None = None) -> bytes:
    """Return an event of a chat stream: a piece of text, its usage, or its end."""
    if text is None and usage is None:
        return b"data: [DONE]\n\n"
    chunk: dict[str, Any] = {"id": "c1", "object": "chat.completion.chunk", "model": "gpt", "choices": []}
    if text is not None:
        chunk["choices"] = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
    else:
        chunk["usage"] = answer(usage or 0)["usage"]
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def asked(*, stream: bool = False, **more: Any) -> Exchange:
    """Return a request for a chat completion."""
    names = {key: more.pop(key) for key in ("name", "caller", "headers") if key in more}
    body = {"model": "gpt", "stream": stream, "messages": [{"role": "user", "content": "Hi"}], **more}
    return make_exchange(body=body, **names)


@asynccontextmanager
async def ledger(
    directory: Path,
    upstream: FakeUpstream | None,
    *,
    options: dict[str, Any] | None = None,
    plugins: dict[str, Any] | None = None,
    process: Process | None = None,
    stores: dict[str, Any] | None = None,
    first: str = "ledger",
    prices: dict[str, Any] | None = None,
    charging: dict[str, Any] | None = None,
    **config: Any,
) -> AsyncIterator[Serving]:
    """Serve with a ledger."""
    tables = {"ledger": {"use": LedgerPlugin, "directory": str(directory), **config}}
    more = {"prices": PRICES if prices is None else prices} | ({} if stores is None else {"stores": stores})
    listed = {**tables, **(plugins or {})}
    own = {"ledger": options or {}, "cache": {"ttl": "5m", "invalidation": "tags"}}
    if charging is not None:
        refs = [{name: own.get(name, {})} for name in {first: None, **listed}]
        more["routes"] = [{"name": "test", "upstream": "upstream", "plugins": refs, "charging": charging}]
    async with running_route(
        {first: listed.pop(first), **listed},
        upstream=upstream,
        dialect="openai",
        options=own,
        process=process,
        config={"plugins": {"openai": {"use": "openai"}}, "models": {"gpt": "upstream/gpt"}, **more},
    ) as serving:
        yield serving


def rows(directory: Path) -> list[dict[str, Any]]:
    """Return what stands in the database, in the order of its names."""
    books = Books(directory / FILE, reading=True)
    try:
        found = books.ask("SELECT * FROM attempts ORDER BY entry")
        return [dict(zip(COLUMNS, values, strict=True)) for values in found]
    finally:
        books.close()
