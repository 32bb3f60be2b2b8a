from __future__ import annotations

from typing import Any

import openai
import pytest

from llmproxy.plugin import LocalUpstream
from llmproxy.testing import PluginContract, running_gateway
from llmproxy_demo import DemoPlugin
from llmproxy_demo.config import DemoConfig

CONFIG = {
    "upstreams": {"demo": {"dialect": "demo", "base_url": "http://demo.invalid"}},
    "models": {"demo/echo": {"upstream": "demo", "model": "echo"}},
    "plugins": {"openai": {"use": "llmproxy_openai:OpenAIPlugin"}, "demo": {"use": DemoPlugin}},
    "routes": [{"name": "models", "match": {"path": "/v1/*"}, "upstream": "demo"}],
}


class TestContract(PluginContract):
    plugin_class = DemoPlugin


class Offers:
    def __init__(self) -> None:
        self.upstreams: dict[str, Any] = {}

    def dialect(self, name: str, *, upstream: Any) -> None:
        self.upstreams[name] = upstream


def test_an_upstream_that_answers_here_is_offered() -> None:
    registry: Any = Offers()

    DemoPlugin("demo", DemoConfig()).register(registry)

    assert isinstance(registry.upstreams["demo"], LocalUpstream)


async def test_the_sdk_talks_to_it_through_the_gateway() -> None:
    async with (
        running_gateway(CONFIG) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="k", max_retries=0) as client,
    ):
        embeddings = await client.embeddings.create(model="demo/echo", input=["a", "b"])
        async with client.responses.stream(model="demo/echo", input="Hello you") as stream:
            response = await stream.get_final_response()

    assert response.output_text == "Hello you"
    assert [len(each.embedding) for each in embeddings.data] == [64, 64]


async def test_the_sdk_is_told_of_a_stream_that_was_cut() -> None:
    asked = {"role": "user", "content": "[[cut after 1]] one two"}
    words: list[str] = []

    async with (
        running_gateway(CONFIG) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="k", max_retries=0) as client,
    ):
        chunks: Any = await client.chat.completions.create(
            model="demo/echo",
            messages=[asked],  # type: ignore[list-item]
            stream=True,
        )
        with pytest.raises(openai.APIError):
            await collect(chunks, words)

    assert words == ["", "one"]


async def collect(chunks: Any, words: list[str]) -> None:
    async for chunk in chunks:
        words.append(chunk.choices[0].delta.content)  # noqa: PERF401 - what came before a fault counts
