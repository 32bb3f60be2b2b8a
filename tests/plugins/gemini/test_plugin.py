from __future__ import annotations

from tests.plugins.conftest import offered

from llmproxy.testing import FakeUpstream, PluginContract, RawClient, running_gateway
from llmproxy_gemini import GeminiPlugin
from llmproxy_gemini.config import GeminiConfig

CHUNK = b'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},%b"index":0}]}\r\n\r\n'


class TestContract(PluginContract):
    plugin_class = GeminiPlugin


def test_both_faces_of_the_dialect_are_offered() -> None:
    client, upstream = offered(GeminiPlugin("gemini", GeminiConfig()))["gemini"]

    assert client.wire == upstream.wire == "gemini"


async def test_a_stream_passes_untouched_and_the_callers_key_does_not() -> None:
    stream = CHUNK % b"" + CHUNK % b'"finishReason":"STOP",'
    async with FakeUpstream().stream([stream]) as upstream:
        google = {"dialect": "gemini", "base_url": f"{upstream.url}/v1beta", "api_key": "${env:KEY}"}
        config = {
            "upstreams": {"google": google},
            "models": {"fast": {"upstream": "google", "model": "gemini-2.5-flash"}},
            "plugins": {"gemini": {"use": GeminiPlugin}},
            "routes": [{"name": "all", "match": {"path": "/*"}, "upstream": "google"}],
        }
        call = b"POST /v1/models/fast:streamGenerateContent?alt=sse&key=canary HTTP/1.1\r\nHost: x\r\n"
        fields = b"x-goog-api-key: canary\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"
        async with (
            running_gateway(config, environ={"KEY": "upstream-key"}) as gateway,
            RawClient(gateway.url) as client,
        ):
            reply = await client.exchange(call + fields + b'{"contents": []}')

    assert reply.body == stream
    (request,) = upstream.requests
    assert request.target == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert request.body == b'{"contents": []}'
    assert request.header("x-goog-api-key") == "upstream-key"
    assert b"canary" not in b"".join(value for _, value in request.headers)
