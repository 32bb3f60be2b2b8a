"""How a database is come by, where the configuration says that it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from llmproxy.plugin import PostgresUrl, Runtime, postgres_of
from llmproxy_access.config import DatabaseConfig
from llmproxy_access.database import Database, open_file
from llmproxy_access.issuing import Pepper

if TYPE_CHECKING:
    from llmproxy_access.postgresrows import PostgresRows


class Source(Protocol):
    """What opens a database, in the thread that will use it, and is closed on the loop after it."""

    #: Which database it is; no secret.
    place: str

    def open(self) -> Database:
        """Open it.

        Raises:
            PostgresAway: it cannot be used now.
            StartError: it cannot be used as it is.
        """

    def give_up(self) -> None:
        """End what the thread waits for."""

    async def close(self) -> None:
        """Let go of it."""


class FileSource:
    """An SQLite file."""

    def __init__(self, path: str, pepper: Pepper, wall: Callable[[], float]) -> None:
        self.place = path
        self._pepper = pepper
        self._wall = wall

    def open(self) -> Database:
        return open_file(Path(self.place), self._pepper, self._wall)

    def give_up(self) -> None:
        """Nothing: a file does not keep anybody waiting for long."""

    async def close(self) -> None:
        """Nothing: the database holds all there is."""


class PostgresSource:
    """A Postgres; `changed` is called on the loop when another gateway has told of a change.

    It has one connection, over which the thread asks and changes are told of: where the one works, so does the other.
    """

    def __init__(
        self, url: PostgresUrl, pepper: Pepper, runtime: Runtime, changed: Callable[[], None]
    ) -> None:
        from llmproxy_access.postgresrows import SCHEMA  # noqa: PLC0415  # few gateways share a Postgres

        self._postgres = postgres_of(runtime, url, SCHEMA, connections=1, prepare=self._listen)
        self.place = f"{self._postgres.place} {self._postgres.schema}"
        self._pepper = pepper
        self._wall = runtime.clock.wall
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._rows: PostgresRows | None = None

    def open(self) -> Database:
        from llmproxy_access.postgresrows import PostgresRows  # noqa: PLC0415  # likewise

        self._rows = rows = PostgresRows(self._postgres, self._loop)
        rows.build()
        return Database(rows, self._pepper, self._wall)

    def give_up(self) -> None:
        if self._rows is not None:
            self._rows.give_up()

    async def close(self) -> None:
        await self._postgres.close()

    async def _listen(self, connection: Any) -> None:
        await connection.add_listener(self._postgres.schema, lambda *_: self._changed())


def source_of(config: DatabaseConfig, runtime: Runtime, changed: Callable[[], None]) -> Source:
    """Return what opens the database of a configuration."""
    pepper = pepper_of(config)
    if config.url is not None:
        return PostgresSource(config.url, pepper, runtime, changed)
    return FileSource(config.path or "", pepper, runtime.clock.wall)


@contextmanager
def opened(config: DatabaseConfig, wall: Callable[[], float]) -> Iterator[Database]:
    """Hold the database of a configuration, for one who has no gateway.

    Raises:
        PostgresAway: it cannot be used now.
        StartError: it cannot be used as it is.
    """
    if config.url is None:
        with closing(open_file(Path(config.path or ""), pepper_of(config), wall)) as database:
            yield database
    else:
        from llmproxy_access.postgresrows import open_postgres  # noqa: PLC0415  # likewise

        with open_postgres(config.url, pepper_of(config), wall) as database:
            yield database


def pepper_of(config: DatabaseConfig) -> Pepper:
    """Return what keys are hashed with."""
    assert config.pepper is not None
    return Pepper(config.pepper.reveal())
