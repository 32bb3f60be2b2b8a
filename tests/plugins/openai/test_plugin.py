from __future__ import annotations

from openai import AsyncOpenAI
from tests.plugins.conftest import offered

from llmproxy.testing import FakeUpstream, PluginContract, running_gateway
from llmproxy_openai import OpenAIPlugin
from llmproxy_openai.config import OpenAIConfig

CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt","choices":%b}\n\n'
WORD = CHUNK % b'[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":null'
EXTRA = CHUNK % b'[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'


class TestContract(PluginContract):
    plugin_class = OpenAIPlugin


def test_both_faces_of_the_dialect_are_offered() -> None:
    client, upstream = offered(OpenAIPlugin("openai", OpenAIConfig()))["openai"]

    assert client.wire == upstream.wire == "openai"


async def test_a_metered_stream_reaches_the_sdk_without_the_usage_it_did_not_ask_for() -> None:
    async with FakeUpstream().stream([WORD, EXTRA, b"data: [DONE]\n\n"]) as upstream:
        config = {
            "upstreams": {"main": {"base_url": f"{upstream.url}/api/v1", "api_key": "${env:KEY}"}},
            "models": {"fast": {"upstream": "main", "model": "gpt"}},
            "plugins": {"openai": {"use": OpenAIPlugin}},
            "routes": [{"name": "models", "match": {"path": "/v1/*"}, "upstream": "main"}],
        }
        async with (
            running_gateway(config, environ={"KEY": "upstream-key"}) as gateway,
            AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="canary", max_retries=0) as client,
        ):
            chunks = await client.chat.completions.create(model="fast", messages=[], stream=True)
            words = [chunk.choices[0].delta.content async for chunk in chunks]

    (request,) = upstream.requests
    assert words == ["Hi"]
    assert request.target == "/api/v1/chat/completions"
    assert request.json() == {
        "model": "gpt",
        "stream": True,
        "messages": [],
        "stream_options": {"include_usage": True},
    }
    assert request.header("authorization") == "Bearer upstream-key"
    assert b"canary" not in b"".join(value for _, value in request.headers)
