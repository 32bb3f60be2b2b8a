from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmproxy_access.database import Database
from llmproxy_access.issuing import Pepper

PEPPER = Pepper("pepper-0123456789abcdef-0123456789")


class Wall:
    """Wall time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def pepper() -> Pepper:
    return PEPPER


@pytest.fixture
def open_database(tmp_path: Path, wall: Wall) -> Iterator[Callable[[], Database]]:
    """Open further connections to one database."""
    opened: list[Database] = []

    def one() -> Database:
        opened.append(Database(tmp_path / "state" / "access.db", PEPPER, wall))
        return opened[-1]

    yield one
    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    return open_database()
