"""Which embedder a configuration means, opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from llmproxy_semantic.embedder import Embedder
from llmproxy_semantic.embedding import Embedding, Worker

if TYPE_CHECKING:
    from llmproxy.plugin import Runtime
    from llmproxy_semantic.config import SemanticConfig, UpstreamEmbedder


@asynccontextmanager
async def open_embedding(config: SemanticConfig, runtime: Runtime) -> AsyncIterator[Embedding]:
    """Hold what embeds for one generation; a model that is loaded outlives it while another generation holds it.

    It may be asked at once. The gateway says that it is ready when the embedder is, or cannot be.
    """
    if config.embedder == "minilm":
        async with runtime.shared("semantic-minilm", _open_minilm) as worker:
            yield _watched(Embedding(worker, runtime), runtime)
    else:
        yield _watched(_remote(config.embedder, runtime), runtime)


@asynccontextmanager
async def _open_minilm() -> AsyncIterator[Worker]:
    from llmproxy_semantic.minilm import DIMS, ID  # noqa: PLC0415  # few gateways embed

    worker = Worker("semantic-embedder", ID, DIMS, _load_minilm)
    worker.start()
    try:
        yield worker
    finally:
        await worker.close()


def _load_minilm() -> Embedder:
    from llmproxy_semantic.minilm import MiniLM  # noqa: PLC0415  # in the thread that it is for

    return MiniLM()


def _remote(settings: UpstreamEmbedder, runtime: Runtime) -> Embedding:
    from llmproxy_semantic.remote import Remote  # noqa: PLC0415  # few gateways embed

    return Embedding(Remote(settings.upstream, settings.model, runtime), runtime)


def _watched(embedding: Embedding, runtime: Runtime) -> Embedding:
    if runtime.starting:
        runtime.before_ready(embedding.ready, name="load-embedder", within=60.0)
    else:
        runtime.spawn(embedding.ready(), name="load-embedder")
    return embedding
