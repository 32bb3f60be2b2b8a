"""Recorded files and batches pass as they were recorded, and what they used is counted as their providers told it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from tests.integration.replaying import PRESENT, recordings, replaying

from llmproxy.testing import running_gateway
from llmproxy_ledger.books import FILE, Books

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PRESENT, reason="the team's recordings are not beside the project"),
]

DIALECTS = {"openai": "/v1", "xai": "/v1", "anthropic": "/v1", "google": "/v1beta"}
#: What is told by recorded batches that have ended: model, tokens of input, of output, of thought.
GOLDEN = {"openai": [("gpt-5-nano-2025-08-07", 36, 96, 128)]}


def config(replay: str, provider: str, directory: Path) -> dict[str, Any]:
    dialect = {"google": "gemini", "xai": "openai"}.get(provider, provider)
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "server": {"drain_pause": "1ms"},
        "upstreams": {provider: {"base_url": replay + DIALECTS[provider], "dialect": dialect}},
        "plugins": {"access": {"mode": "open"}, "ledger": {"directory": str(directory)}},
        "pipeline": ["access", "ledger"],
        "routes": [{"name": "models", "upstream": provider}],
    }


async def asked(session: aiohttp.ClientSession, url: str, record: dict[str, Any]) -> tuple[int, Any]:
    request = record["request"]
    headers = {**request["headers"], "x-replay-id": record["id"]}
    if record["provider"] == "anthropic":
        headers.setdefault("anthropic-version", "2023-06-01")  # which one recorder left out
    if "base64" in request or "text" in request:
        body = b"some bytes of a file"
    else:
        body = orjson.dumps(request["body"]) if request.get("body") is not None else b""
    target = f"{url}{request['path']}?{request['query']}".rstrip("?")
    headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    async with session.request(request["method"], target, data=body, headers=headers) as reply:
        return reply.status, await reply.read()


@pytest.mark.parametrize("provider", DIALECTS)
async def test_recorded_jobs_pass_and_count(provider: str, tmp_path: Path) -> None:
    found = [record for kind in ("files", "batches", "anthropic.batches") for record in recordings(kind)]
    records = [record for record in found if record["provider"] == provider]
    different = []
    with replaying() as replay:
        async with (
            running_gateway(config(replay, provider, tmp_path)) as gateway,
            aiohttp.ClientSession() as session,
        ):
            for record in records * 2:
                through = await asked(session, gateway.url, record)
                direct = await asked(session, replay, record)
                expected = direct[1].replace(b"https://api.anthropic.com", gateway.url.encode())
                if through != (direct[0], expected):
                    different.append((record["id"], through, direct))

    assert len(records) > 3
    assert different == []
    books = Books(tmp_path / FILE, reading=True)
    told = books.ask("SELECT model, input, output, reasoning FROM attempts WHERE basis = 'belated'")
    assert list(told) == GOLDEN.get(provider, [])
    books.close()
