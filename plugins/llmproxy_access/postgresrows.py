"""The same rows in a Postgres that several gateways share.

Whoever uses them does so in a thread, as with a file; the connection belongs to an event loop, which does what the
thread asks for while the thread waits. Each block is a transaction on one connection, for a bounded time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any, Final, TypeVar

from llmproxy.plugin import Postgres, PostgresAway, PostgresUrl, numbered_places
from llmproxy_access.database import Database
from llmproxy_access.issuing import Pepper

T = TypeVar("T")

#: The schema, where the URL names none; also what changes are told of by.
SCHEMA: Final = "llmproxy_access"
# Names are sorted as SQLite sorts them.
_STEPS: Final = (
    """
    CREATE TABLE state (name text COLLATE "C" PRIMARY KEY, value bigint NOT NULL);
    CREATE TABLE marks (name text COLLATE "C" PRIMARY KEY, value bytea NOT NULL);
    CREATE TABLE accounts (
        kind text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, tenant text NOT NULL, org text,
        models text, routes text, created double precision NOT NULL, PRIMARY KEY (kind, name)
    );
    CREATE TABLE keys (
        name text COLLATE "C" PRIMARY KEY, tenant text NOT NULL, org text, team text, "user" text,
        models text, routes text, created double precision NOT NULL, revoked double precision
    );
    CREATE TABLE secrets (
        id text COLLATE "C" PRIMARY KEY, key text NOT NULL REFERENCES keys (name), digest bytea NOT NULL,
        created double precision NOT NULL, expires double precision, revoked double precision
    );
    CREATE INDEX secrets_of_keys ON secrets (key);
    INSERT INTO state VALUES ('version', 1);
    """,
)
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_COUNT: Final = "UPDATE state SET value = value + 1 WHERE name = 'version' RETURNING value"


class PostgresRows:
    """The rows of a `Postgres`, which is used on `loop` and closed by whoever made it.

    Everything raises `PostgresAway` where the database cannot be used now.
    """

    def __init__(self, postgres: Postgres, loop: asyncio.AbstractEventLoop) -> None:
        self._postgres = postgres
        self._loop = loop
        self._lent: Any = None
        self._asked: Future[Any] | None = None
        self._given_up = False

    def build(self) -> None:
        """Make the tables, if they are not there.

        Raises:
            StartError: they cannot be made.
        """
        self._wait(self._postgres.build("access", _STEPS))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See one moment in a whole block."""
        with self._transaction(_SNAPSHOT):
            yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Do all of a block or nothing of it, one such block at a time; all who listen are told of the version."""
        with self._transaction("BEGIN"):
            # First, as the others who would change something then wait for this row.
            version = self.all(_COUNT)[0][0]
            yield
            self.all("SELECT pg_notify(?, ?)", self._postgres.schema, str(version))

    def run(self, statement: str, *values: Any) -> None:
        """Do what changes something."""
        self.all(statement, *values)

    def all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return all rows."""

        async def fetch(connection: Any) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await connection.fetch(numbered_places(statement), *values)]

        return self._wait(self._postgres.run(fetch) if self._lent is None else fetch(self._lent))

    def found(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row, None if there is none."""
        return next(iter(self.all(statement, *values)), None)

    def version(self) -> int:
        """Return how often they were changed."""
        return int(self.all("SELECT value FROM state WHERE name = 'version'")[0][0])

    def mark(self, mark: bytes) -> bytes:
        """Keep whose the rows are, if nobody has; return what is kept."""
        self.run("INSERT INTO marks VALUES ('pepper', ?) ON CONFLICT DO NOTHING", mark)
        return bytes(self.all("SELECT value FROM marks WHERE name = 'pepper'")[0][0])

    def close(self) -> None:
        """Nothing: the connections are not ours."""

    def give_up(self) -> None:
        """End what a thread waits for, and whatever it asks for next. Called from the loop."""
        self._given_up = True
        if self._asked is not None:
            self._asked.cancel()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        lending = self._postgres.connection()
        self._lent = lent = self._wait(lending.__aenter__())
        try:
            self._wait(lent.execute(begin))
            yield
            self._wait(lent.execute("COMMIT"))
        except BaseException as fault:
            if not isinstance(fault, PostgresAway) and not lent.is_closed():
                with suppress(Exception):
                    self._wait(lent.execute("ROLLBACK"))
            self._wait(lending.__aexit__(type(fault), fault, fault.__traceback__), always=True)
            raise
        else:
            self._wait(lending.__aexit__(None, None, None))
        finally:
            self._lent = None

    def _wait(self, work: Coroutine[Any, Any, T], *, always: bool = False) -> T:
        if self._given_up and not always:
            work.close()
            raise PostgresAway(self._postgres.place, "closed")
        self._asked = asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return asked.result()
        except CancelledError:
            raise PostgresAway(self._postgres.place, "closed") from None


@contextmanager
def open_postgres(url: PostgresUrl, pepper: Pepper, wall: Callable[[], float]) -> Iterator[Database]:
    """Hold the database at a URL, for one who has no event loop.

    Raises:
        PostgresAway: it cannot be used now.
        StartError: its tables cannot be made, or its keys were made with another pepper.
    """
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="access-postgres", daemon=True)
    thread.start()
    try:
        postgres = Postgres(url, SCHEMA, connections=1)
        try:
            rows = PostgresRows(postgres, loop)
            rows.build()
            yield Database(rows, pepper, wall)
        finally:
            asyncio.run_coroutine_threadsafe(postgres.close(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
