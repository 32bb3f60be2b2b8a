"""Who keeps and searches rows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from llmproxy.metrics import Metrics
from llmproxy.plugin import Clock, PostgresUrl, Runtime
from llmproxy_semantic.config import SemanticConfig
from llmproxy_semantic.pgvector import PgVectors
from llmproxy_semantic.rows import Rows
from llmproxy_semantic.searching import open_rows
from llmproxy_semantic.vectorsets import VectorSets


@pytest.fixture
def runtime() -> Runtime:
    def shared(key: object, make: Callable[[], AbstractAsyncContextManager[Any]]) -> Any:
        return make()

    return cast(
        "Runtime", SimpleNamespace(name="semantic", metrics=Metrics(), clock=Clock(), shared=shared, log=None)
    )


async def test_each_worker_searches_by_itself_and_tells_how_much_it_holds(runtime: Runtime) -> None:
    async with open_rows(SemanticConfig(), runtime, "minilm") as rows:
        assert isinstance(rows, Rows)
        rows._known.index.add(b"p", b"key", np.ones(3, np.float32), b"")
        told = runtime.metrics.exposition([runtime.metrics.snapshot()])

        assert "llmproxy_semantic_rows 1\n" in told
        assert f"llmproxy_semantic_rows_bytes {rows._known.index.held}\n" in told


async def test_the_stores_server_or_a_postgres_searches_where_the_configuration_says_so(
    runtime: Runtime,
) -> None:
    pytest.importorskip("asyncpg")
    config = SemanticConfig(search="postgres", url=PostgresUrl("postgres://nobody@127.0.0.1:9/none"))
    async with open_rows(SemanticConfig(search="store"), runtime, "minilm") as rows:
        assert isinstance(rows, VectorSets)
    async with open_rows(config, runtime, "minilm") as rows:
        assert isinstance(rows, PgVectors)
