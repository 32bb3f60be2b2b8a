from __future__ import annotations

from typing import Any

import pytest

from llmproxy.testing import FakeUpstream, PluginContract, RawClient, running_gateway
from llmproxy.testing.wire import CutShort
from llmproxy_ollama import OllamaPlugin

from .conftest import STREAM, line, piece


class TestContract(PluginContract):
    plugin_class = OllamaPlugin


def config(url: str, **more: Any) -> dict[str, Any]:
    upstream = {"dialect": "ollama", "base_url": url, "api_key": "${env:KEY}"}
    models = {"fast": {"upstream": "own", "model": "llama3:8b"}}
    return {"upstreams": {"own": upstream}, "models": models, "routes": [{"name": "all"}], **more}


def post(body: bytes, kind: bytes = b"application/x-www-form-urlencoded") -> bytes:
    head = b"POST /api/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer canary\r\nContent-Type: %b\r\n"
    return head % kind + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


async def asked(upstream: FakeUpstream, body: bytes) -> Any:
    async with (
        running_gateway(config(upstream.url), environ={"KEY": "upstream-key"}) as gateway,
        RawClient(gateway.url) as client,
    ):
        return await client.exchange(post(body))


async def test_a_stream_passes_untouched_and_the_callers_key_does_not():
    async with FakeUpstream().stream(
        [STREAM], headers=[("Content-Type", "application/x-ndjson")]
    ) as upstream:
        reply = await asked(upstream, b'{"model": "fast", "messages": []}')

    assert reply.body == STREAM
    (request,) = upstream.requests
    assert (request.target, request.body) == ("/api/chat", b'{"model": "llama3:8b", "messages": []}')
    assert request.header("authorization") == "Bearer upstream-key"
    assert b"canary" not in b"".join(value for _, value in request.headers)


@pytest.mark.parametrize("before", [b"", piece(thinking="") + piece("")])
async def test_an_error_in_place_of_output_is_an_error(before):
    error = line(error="model runner has unexpectedly stopped")
    kind = [("Content-Type", "application/x-ndjson")]
    async with FakeUpstream().stream([before + error], headers=kind) as upstream:
        reply = await asked(upstream, b'{"model":"fast","messages":[]}')

    assert reply.status == 500
    assert reply.json() == {"error": "model runner has unexpectedly stopped"}


async def test_a_stream_that_is_cut_ends_with_an_error():
    kind = [("Content-Type", "application/x-ndjson")]
    async with FakeUpstream().stream([piece("Hi")], headers=kind) as upstream:
        with pytest.raises(CutShort) as cut:
            await asked(upstream, b'{"model":"fast","messages":[]}')

    told = line(error="The provider's stream ended before its answer was whole.")
    assert cut.value.received.startswith(piece("Hi") + told)
