"""Where caller and provider speak alike, a request arrives byte for byte as it was sent, but for its model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
import pytest
from aiohttp import web
from tests.integration.replaying import PRESENT, RECORDINGS
from tests.webserver import served

from llmproxy.testing import running_gateway

from .recorded import DIALECTS, FAMILIES

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PRESENT, reason="the team's recordings are not beside the project"),
]

_PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "anthropic.messages": "/v1/messages",
    "gemini": "/v1beta/models/{}:generateContent",
    "ollama.chat": "/api/chat",
    "cohere.chat_v2": "/v2/chat",
}


@asynccontextmanager
async def keeping(bodies: list[tuple[str, bytes]]) -> AsyncIterator[str]:
    """Serve an upstream that keeps what it is asked."""

    async def keep(request: web.Request) -> web.Response:
        bodies.append((request.raw_path, await request.read()))
        return web.json_response({})

    async with served(keep) as url:
        yield url


def requests(family: str) -> Iterator[dict[str, Any]]:
    """Return the recorded bodies of one dialect."""
    for path in sorted(RECORDINGS.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            record = orjson.loads(line)
            body = (record["request"] or {}).get("body")
            if FAMILIES.get(record["dialect"], record["dialect"]) == family and isinstance(body, dict):
                yield body


@pytest.mark.parametrize("family", _PATHS)
async def test_recorded_requests_arrive_byte_for_byte(family: str) -> None:
    dialect, prefix = DIALECTS[family]
    seen: list[tuple[str, bytes]] = []
    sent: list[tuple[str, bytes]] = []
    async with keeping(seen) as upstream:
        tree = {
            "listen": "127.0.0.1:0",
            "admin": {"listen": "127.0.0.1:0"},
            "upstreams": {"own": {"dialect": dialect, "base_url": upstream + prefix}},
            "routes": [{"name": "models", "meter_usage": False}],
        }
        async with running_gateway(tree) as gateway, aiohttp.ClientSession(gateway.url) as session:
            for body in requests(family):
                model = quote(str(body.get("model") or "m"), safe=":.-_")
                asked, expected = dict(body), dict(body)
                if family != "gemini":
                    asked["model"], expected["model"] = f"own/{model}", model
                path = _PATHS[family].format(f"own/{model}")
                headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
                async with session.post(path, data=orjson.dumps(asked), headers=headers) as reply:
                    assert reply.status == 200, await reply.text()
                sent.append((_PATHS[family].format(model), orjson.dumps(expected)))

    assert len(sent) > 10
    assert seen == sent
