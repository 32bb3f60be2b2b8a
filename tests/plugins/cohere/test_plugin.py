from __future__ import annotations

import orjson
from tests.plugins.conftest import offered

from llmproxy.testing import FakeUpstream, PluginContract, RawClient, running_gateway
from llmproxy_cohere import CoherePlugin
from llmproxy_cohere.config import CohereConfig

from .conftest import STREAM

CALL = (
    b"POST /v2/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer canary\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b"
)


class TestContract(PluginContract):
    plugin_class = CoherePlugin


def test_both_faces_of_the_dialect_are_offered() -> None:
    client, upstream = offered(CoherePlugin("cohere", CohereConfig()))["cohere"]

    assert client.wire == upstream.wire == "cohere"


async def test_a_stream_passes_untouched_and_the_callers_key_does_not() -> None:
    body = orjson.dumps({"model": "fast", "stream": True, "messages": [{"role": "user", "content": "Hi"}]})
    async with FakeUpstream().stream([STREAM]) as upstream:
        cohere = {"dialect": "cohere", "base_url": upstream.url, "api_key": "${env:KEY}"}
        config = {
            "upstreams": {"cohere": cohere},
            "models": {"fast": {"upstream": "cohere", "model": "command-a-03-2025"}},
            "plugins": {"cohere": {"use": CoherePlugin}},
            "routes": [{"name": "all", "match": {"path": "/*"}, "upstream": "cohere"}],
        }
        async with (
            running_gateway(config, environ={"KEY": "upstream-key"}) as gateway,
            RawClient(gateway.url) as client,
        ):
            reply = await client.exchange(CALL % (len(body), body))

    assert reply.body == STREAM
    (request,) = upstream.requests
    assert request.target == "/v2/chat"
    assert request.body == body.replace(b'"fast"', b'"command-a-03-2025"')
    assert request.header("authorization") == "Bearer upstream-key"
