from tests.plugins.conftest import offered

from llmproxy.testing import FakeUpstream, PluginContract, RawClient, running_gateway
from llmproxy_bedrock import BedrockPlugin
from llmproxy_bedrock.config import BedrockConfig

from .conftest import SAID, STREAM


class TestContract(PluginContract):
    plugin_class = BedrockPlugin


def test_both_faces_of_the_dialect_are_offered():
    client, upstream = offered(BedrockPlugin("bedrock", BedrockConfig()))["bedrock"]

    assert client.wire == upstream.wire == "bedrock"


async def test_a_stream_passes_untouched_and_the_callers_credentials_do_not():
    async with FakeUpstream().stream([SAID], headers=[("Content-Type", STREAM)]) as upstream:
        config = {
            "upstreams": {
                "amazon": {"dialect": "bedrock", "base_url": upstream.url, "api_key": "${env:KEY}"}
            },
            "models": {"fast": {"upstream": "amazon", "model": "us.amazon.nova-micro-v1:0"}},
            "routes": [{"name": "models"}],
        }
        call = b"POST /model/fast/converse-stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer canary\r\n"
        fields = (
            b"x-amz-security-token: canary\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"
        )
        async with (
            running_gateway(config, environ={"KEY": "upstream-key"}) as gateway,
            RawClient(gateway.url) as client,
        ):
            reply = await client.exchange(call + fields + b'{"messages": []}')

    assert reply.body == SAID
    (request,) = upstream.requests
    assert request.target == "/model/us.amazon.nova-micro-v1%3A0/converse-stream"
    assert request.body == b'{"messages": []}'
    assert request.header("authorization") == "Bearer upstream-key"
    assert b"canary" not in b"".join(value for _, value in request.headers)
