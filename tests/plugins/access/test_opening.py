from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmproxy.plugin import Clock, Metrics, PostgresUrl
from llmproxy_access.config import DatabaseConfig
from llmproxy_access.database import Database
from llmproxy_access.opening import opened, source_of
from llmproxy_access.records import KeyOrder

from .conftest import SECRET, Wall


def test_what_one_makes_another_finds(open_database: Callable[[], Database]) -> None:
    open_database().create(KeyOrder(name="web", tenant="shop"))

    assert [key.name for key in open_database().read().keys] == ["web"]


async def test_a_source_is_told_by_what_is_no_secret(tmp_path: Path) -> None:
    runtime: Any = SimpleNamespace(name="access", clock=Clock(), metrics=Metrics(), log=None)
    url = PostgresUrl("postgres://app:canary@db/keys?schema=team")
    configs = [DatabaseConfig(path="a.db", pepper=SECRET), DatabaseConfig(url=url, pepper=SECRET)]
    places = [source_of(config, runtime, lambda: None).place for config in configs]

    assert places == ["a.db", "db/keys team"]


def test_a_file_is_closed_with_its_use(tmp_path: Path, wall: Wall) -> None:
    with opened(DatabaseConfig(path=str(tmp_path / "a.db"), pepper=SECRET), wall) as database:
        database.read()

    with pytest.raises(Exception, match="closed"):
        database.read()
