"""What callers write to get more than a hard limit gives: each is refused, or leaves with a bound that holds."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from yarl import URL

from llmproxy.testing import FakeUpstream

from .process import GatewayProcess

CONFIG = """
listen: 127.0.0.1:0
admin: {listen: 127.0.0.1:0}
stores: {counters: {url: "memory://"}}
upstreams:
  main: {base_url: "UPSTREAM/v1"}
  claude: {base_url: "UPSTREAM/v1", dialect: anthropic}
models: {gpt: main/gpt, thinker: claude/claude-sonnet-4-5}
plugins:
  access: {mode: open}
  quota: {store: counters, output: 100, limits: [{name: words, counts: tokens, at_most: 9000, window: month}]}
pipeline: [access, quota]
routes: [{name: models, match: {path: "/*"}}]
"""
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "model": "gpt",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
DRAINED = """
listen: 127.0.0.1:0
stores: {counters: {url: "memory://"}}
upstreams: {main: {base_url: "UPSTREAM/v1"}}
models: {gpt: main/gpt}
plugins:
  access: {mode: open}
  quota: {store: counters, limits: [{name: at-once, counts: in_flight, at_most: 2}]}
  ledger: {directory: "FOLDER", on_abort: drain}
pipeline: [access, quota, ledger]
routes: [{name: models, match: {path: "/*"}}]
"""
CHAT = "/v1/chat/completions"
HI = {"messages": [{"role": "user", "content": "Hi"}]}
#: Path, body, and what becomes of it: refused for its limit, for its doubt, or sent with this.
TRICKS: list[tuple[str, dict[str, Any], int | dict[str, int]]] = [
    (CHAT, {"model": "gpt", **HI, "metadata": {"max_tokens": 1}}, {"max_completion_tokens": 100}),
    (CHAT, {"model": "gpt", **HI, "maxOutputTokens": 1}, {"max_completion_tokens": 1}),
    (CHAT, {"model": "gpt", **HI, "max_tokens": -1}, {"max_tokens": 100}),
    (CHAT, {"model": "gpt", **HI, "max_tokens": 1e6}, 400),
    (CHAT, {"model": "gpt", **HI, "MAX_TOKENS": 9999}, 400),
    (CHAT, {"model": "gpt", **HI, "max_tokens": 100, "n": 99}, 429),
    (CHAT, {"model": "thinker", **HI, "max_completion_tokens": 1, "reasoning_effort": "high"}, 429),
    ("/v1/completions", {"model": "gpt", "prompt": ["a"] * 90, "max_tokens": 100}, 429),
    ("/v1/chat/completion%73", {"model": "gpt", **HI, "max_tokens": 1}, 400),
    ("/v1/batches", {"model": "gpt", "input_file_id": "f"}, 400),
    ("/v1/responses", {"model": "gpt", "input": "Hi", "previous_response_id": "r"}, 429),
]


async def test_no_trick_passes_a_hard_limit(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream, aiohttp.ClientSession() as session:
        upstream.reply(json=ANSWER)
        file = tmp_path / "gateway.yaml"
        file.write_text(CONFIG.replace("UPSTREAM", upstream.url))
        with GatewayProcess("-c", file) as gateway:
            for path, body, becomes in TRICKS:
                before = len(upstream.requests)
                async with session.post(URL(gateway.url + path, encoded=True), json=body) as reply:
                    told = await reply.text()
                sent = upstream.requests[before:]

                if isinstance(becomes, int):
                    assert (reply.status, sent) == (becomes, []), (path, body, told)
                else:
                    assert reply.status == 200, told
                    assert becomes.items() <= orjson.loads(sent[0].body).items()
            for method, path in (("GET", "/v1/files"), ("DELETE", "/v1/files/f")):
                async with session.request(method, gateway.url + path) as reply:
                    assert reply.status in (200, 400)
            async with session.post(gateway.url + CHAT, json={"model": "gpt", **HI}) as reply:
                assert reply.status == 200  # nothing of all this was kept


async def test_who_leaves_keeps_his_place_until_his_call_is_drained(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream, aiohttp.ClientSession() as session:
        upstream.raw(0.8, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        file = tmp_path / "gateway.yaml"
        file.write_text(DRAINED.replace("UPSTREAM", upstream.url).replace("FOLDER", str(tmp_path / "ledger")))
        with GatewayProcess("-c", file) as gateway:
            for _ in range(4):
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await session.post(gateway.url + CHAT, json={"model": "gpt", **HI})

            assert len(upstream.requests) == 2
            async with asyncio.timeout(10):
                while True:
                    async with session.post(gateway.url + CHAT, json={"model": "gpt", **HI}) as reply:
                        if reply.status == 200:
                            break
                    await asyncio.sleep(0.05)
