from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from llmproxy.plugin import PostgresUrl, Secret
from llmproxy_access.config import DatabaseConfig
from llmproxy_access.database import Database, open_file
from llmproxy_access.issuing import Pepper
from llmproxy_access.opening import opened

SECRET = Secret("pepper-0123456789abcdef-0123456789")
PEPPER = Pepper(SECRET.reveal())


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


@pytest.fixture(params=["file", "postgres"])
def open_database(
    request: pytest.FixtureRequest, tmp_path: Path, wall: Wall
) -> Iterator[Callable[[], Database]]:
    """Open further connections to one database, of each kind."""
    if request.param == "file":
        config = DatabaseConfig(path=str(tmp_path / "state" / "access.db"), pepper=SECRET)
    else:
        config = DatabaseConfig(url=PostgresUrl(request.getfixturevalue("postgres_url")), pepper=SECRET)
    with ExitStack() as held:
        yield lambda: held.enter_context(opened(config, wall))


@pytest.fixture
def file_database(tmp_path: Path, wall: Wall) -> Iterator[Database]:
    with closing(open_file(tmp_path / "state" / "access.db", PEPPER, wall)) as database:
        yield database


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    return open_database()
