"""Where rows are kept and searched, as a configuration says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from llmproxy.plugin import postgres_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmproxy.plugin import Answered, CacheSpace, Metrics, PostgresUrl, Runtime
    from llmproxy_semantic.config import SemanticConfig
    from llmproxy_semantic.rows import Known
    from llmproxy_semantic.shard import Row


#: Connections of a worker to a Postgres, and seconds that each is lent for.
_CONNECTIONS: Final = 4
_WITHIN: Final = 2.0


class Searched(Protocol):
    """Rows of answers, by the vectors of their questions. What fails is counted, and finds nothing."""

    async def may_find(self, space: CacheSpace, partition: bytes) -> bool:
        """Tell whether a partition may have rows: most have none, as each conversation is one, and need no vector."""

    async def near(
        self, space: CacheSpace, partition: bytes, vector: NDArray[np.float32], most: int
    ) -> list[Row]:
        """Return the rows of a partition that are nearest, the nearest first."""

    async def add(
        self, answered: Answered, partition: bytes, vector: NDArray[np.float32], features: bytes
    ) -> None:
        """Have the answer to a question be found by its vector, for as long as it is kept."""

    async def lost(self, space: CacheSpace, partition: bytes, key: bytes) -> None:
        """Forget a row whose answer is gone."""


@asynccontextmanager
async def open_rows(config: SemanticConfig, runtime: Runtime, embedder: str) -> AsyncIterator[Searched]:
    """Hold the rows of an embedder for one generation; what a worker knows of them survives reloads."""
    if config.search == "worker":
        from llmproxy_semantic.rows import Rows  # noqa: PLC0415  # numpy, an extra

        async with runtime.shared("semantic-rows", partial(_open_known, runtime.metrics)) as known:
            yield Rows(runtime, known, embedder)
    elif config.search == "store":
        from llmproxy_semantic.vectorsets import VectorSets  # noqa: PLC0415  # numpy, an extra

        yield VectorSets(runtime, embedder)
    elif config.url is not None:
        async with _postgres(config.url, runtime, embedder) as rows:
            yield rows


@asynccontextmanager
async def _open_known(metrics: Metrics) -> AsyncIterator[Known]:
    from llmproxy_semantic.rows import Known  # noqa: PLC0415  # numpy, an extra

    known = Known()
    rows = metrics.gauge(
        "llmproxy_semantic_rows", "Questions that a worker can compare others with."
    ).labels()
    held = metrics.gauge("llmproxy_semantic_rows_bytes", "Memory that they take.").labels()

    def tell() -> None:
        rows.set(len(known.index))
        held.set(known.index.held)

    end = metrics.collect(tell)
    try:
        yield known
    finally:
        end()


@asynccontextmanager
async def _postgres(url: PostgresUrl, runtime: Runtime, embedder: str) -> AsyncIterator[Searched]:
    from llmproxy_semantic.pgvector import SCHEMA, PgVectors  # noqa: PLC0415  # numpy, an extra

    postgres = postgres_of(runtime, url, SCHEMA, connections=_CONNECTIONS, within=_WITHIN)
    try:
        yield PgVectors(runtime, postgres, embedder)
    finally:
        await postgres.close()
