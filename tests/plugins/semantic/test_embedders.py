from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llmproxy.plugin import Plugin, Runtime, hookimpl
from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway
from llmproxy_semantic import minilm
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
async def held(settings: dict[str, Any]) -> AsyncIterator[tuple[RunningGateway, Embedding]]:
    EmbeddingPlugin.held.clear()
    async with running_gateway(settings, environ={"MODELS_KEY": "k"}) as gateway:
        yield gateway, EmbeddingPlugin.held[0]


async def test_the_gateway_is_ready_with_the_model_loaded() -> None:
    async with held(config("minilm")) as (_, embedding):
        vector = await embedding.vector("what is dns", 5.0)

    assert vector is not None
    assert vector.shape == (embedding.dims,)


async def test_an_upstreams_model_is_asked_with_its_credentials() -> None:
    answer = b'{"data": [{"embedding": [0.0, 2.0]}]}'
    async with FakeUpstream().reply(200, body=answer) as upstream:
        settings = config({"upstream": "models", "model": "small"}, upstream.url)
        async with held(settings) as (_, embedding):
            vector = await embedding.vector("what is dns", 5.0)

    assert vector is not None
    assert vector.tolist() == [0.0, 1.0]
    assert upstream.requests[0].target == "/v1/embeddings"
    assert dict(upstream.requests[0].headers)[b"Authorization"] == b"Bearer k"


async def test_an_upstream_that_there_is_not_turns_the_tier_off() -> None:
    async with held(config({"upstream": "other", "model": "small"})) as (gateway, embedding):
        vectors = [await embedding.vector("what is dns", 5.0) for _ in range(2)]
        told = [line for line in gateway.log if b"semantic_embedder_off" in line]

    assert vectors == [None, None]
    assert len(told) == 1


async def test_a_gateway_whose_model_was_altered_runs_without_it_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"altered")
    monkeypatch.setattr(minilm, "model_file", lambda: tmp_path / "model.onnx")
    async with held(config("minilm")) as (gateway, embedding):
        vectors = [await embedding.vector("what is dns", 5.0) for _ in range(2)]
        metrics = gateway.gateway.process.metrics
        text = metrics.exposition([metrics.snapshot()])
        told = [line for line in gateway.log if b"semantic_embedder_off" in line]

    assert vectors == [None, None]
    assert len(told) == 1
    assert b"SHA-256" in told[0]
    assert 'llmproxy_semantic_embedder_up{plugin="holder"} 0' in text
    assert 'llmproxy_semantic_embeddings_total{plugin="holder",purpose="lookup",outcome="off"} 2' in text


async def test_a_model_that_is_loaded_outlives_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    load = minilm.MiniLM.__init__
    monkeypatch.setattr(
        minilm.MiniLM, "__init__", lambda self, *given: (loaded.append(1), load(self, *given))[1]
    )
    settings = config("minilm")
    async with held(settings) as (gateway, _):
        result = await gateway.reload({**settings, "log": {"level": "warning"}})
        vector = await EmbeddingPlugin.held[-1].vector("what is dns", 5.0)

    assert result.ok
    assert len(EmbeddingPlugin.held) == 2
    assert vector is not None
    assert loaded == [1]
