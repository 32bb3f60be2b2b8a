"""A Postgres for threads and commands, which may wait: the same connections, on an event loop of their own.

A plugin that writes a lot does so in a thread, so that neither the work nor a server that hangs holds up a request.
The loop runs only while something is asked; one thread may ask after another, but only one at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import lru_cache
from itertools import count
from typing import Any, Final, TypeVar

from llmproxy.postgres import Postgres

T = TypeVar("T")

#: Seconds that a snapshot is read in at most: an export of everything may take long.
_LONG: Final = 86_400.0
#: Rows of a snapshot that are held in memory.
_PAGE: Final = 2000


class BlockingPostgres:
    """Waits for what a `Postgres` does; faults are its own."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self._runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)

    def run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Wait for ``work(connection)``; see `Postgres.connection`."""
        return self._runner.run(self.postgres.run(work))

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a question, in which each `?` stands for one of the values."""
        return self._runner.run(self.postgres.run(lambda lent: lent.fetch(numbered_places(query), *values)))

    def build(self, name: str, steps: Sequence[str]) -> None:
        """See `Postgres.build`."""
        self._runner.run(self.postgres.build(name, steps))

    def snapshot(self) -> Snapshot:
        """Begin to read the database as it is now, whatever is written meanwhile; close it in the end."""
        return Snapshot(self.postgres, self._runner)

    def close(self) -> None:
        """Let go of all connections."""
        self._runner.run(self.postgres.close())
        self._runner.close()


class Snapshot:
    """A database as it is at one moment. Nothing can be written by way of it."""

    def __init__(self, postgres: Postgres, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._stack = AsyncExitStack()
        self._connection: Any = runner.run(self._begin(postgres))

    def ask(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Give the rows of a question, in which each `?` stands for one of the values.

        Raises:
            PostgresAway: the database went away; the snapshot has ended with it.
        """
        cursor = self._run(self._asked(numbered_places(query), values))
        while rows := self._run(cursor.fetch(_PAGE)):
            yield from map(tuple, rows)

    def close(self) -> None:
        """End it; what it was asked for is not read on."""
        self._runner.run(self._stack.aclose())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._runner.run(work)
        except Exception as fault:
            self._runner.run(self._stack.__aexit__(type(fault), fault, fault.__traceback__))
            raise

    async def _begin(self, postgres: Postgres) -> Any:
        connection = await self._stack.enter_async_context(postgres.connection(_LONG))
        transaction = connection.transaction(isolation="repeatable_read", readonly=True)
        await self._stack.enter_async_context(transaction)
        return connection

    async def _asked(self, query: str, values: Sequence[Any]) -> Any:
        return await self._connection.cursor(query, *values)


@lru_cache(maxsize=100)
def numbered_places(query: str) -> str:
    """Return a question with `$1`, `$2`... in the place of each `?`."""
    numbers = count(1)
    head, *parts = query.split("?")
    return head + "".join(f"${next(numbers)}{part}" for part in parts)
