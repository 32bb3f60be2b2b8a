from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from llmproxy.plugin import Plugin, Runtime, hookimpl
from llmproxy.testing import FakeUpstream, running_gateway
from llmproxy_semantic.config import SemanticConfig
from llmproxy_semantic.embedders import open_embedding
from llmproxy_semantic.embedding import Embedding


class EmbeddingPlugin(Plugin[SemanticConfig]):
    """Holds an embedding, as a configuration wants it."""

    Config = SemanticConfig
    held: ClassVar[list[Embedding]] = []

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        async with open_embedding(self.config, runtime) as embedding:
            self.held.append(embedding)
            yield


def config(embedder: object, url: str = "http://localhost.invalid") -> dict[str, Any]:
    return {
        "upstreams": {
            "models": {
                "base_url": f"{url}/v1",
                "dialect": "openai",
                "api_key": "${env:MODELS_KEY}",
                "proxy": None,
            }
        },
        "plugins": {"holder": {"use": EmbeddingPlugin, "embedder": embedder}},
        "routes": [{"name": "all", "upstream": "models"}],
    }


@asynccontextmanager
async def held(settings: dict[str, Any]) -> AsyncIterator[Embedding]:
    EmbeddingPlugin.held.clear()
    async with running_gateway(settings, environ={"MODELS_KEY": "k"}):
        yield EmbeddingPlugin.held[0]


async def test_the_gateway_is_ready_with_the_model_loaded() -> None:
    async with held(config("minilm")) as embedding:
        vector = await embedding.vector("what is dns", 5.0)

    assert vector is not None
    assert vector.shape == (embedding.dims,)


async def test_an_upstreams_model_is_asked_with_its_credentials() -> None:
    answer = b'{"data": [{"embedding": [0.0, 2.0]}]}'
    async with FakeUpstream().reply(200, body=answer) as upstream:
        settings = config({"upstream": "models", "model": "small"}, upstream.url)
        async with held(settings) as embedding:
            vector = await embedding.vector("what is dns", 5.0)

    assert vector is not None
    assert vector.tolist() == [0.0, 1.0]
    assert upstream.requests[0].target == "/v1/embeddings"
    assert dict(upstream.requests[0].headers)[b"Authorization"] == b"Bearer k"


async def test_an_upstream_that_there_is_not_turns_the_tier_off() -> None:
    async with held(config({"upstream": "other", "model": "small"})) as embedding:
        assert await embedding.vector("what is dns", 5.0) is None
