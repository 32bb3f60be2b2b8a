"""A Postgres that gateways share: few connections, each used for a bounded time, none waited for while it is away.

Theory. The driver's own pool waits without end for a server that hangs: on giving a connection back it asks that
server to cancel. Here whoever borrows a connection has so many seconds, after which the socket is closed under him;
whatever he waits for then ends. A connection that failed is never used again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from llmproxy.errors import StartError
from llmproxy.postgressteps import NewerSteps, take_steps
from llmproxy.postgresurl import PostgresUrl
from llmproxy.runtime import Clock

if TYPE_CHECKING:
    from llmproxy.runtime import Runtime

T = TypeVar("T")

#: Seconds until a server that is away is asked again: doubled from the first to the longest.
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
#: SQLSTATEs, by their first characters, of a server that cannot do its work now: connection faults, resources,
#: shut down or starting, and a standby that was the primary.
_AWAY: Final = ("08", "53", "57P", "58", "25006")
#: Those of one that does not want us: credentials, the database's name, missing rights.
_REFUSED: Final = ("28", "3D", "42501")
#: The largest number of a `bigint`.
_LARGEST: Final = 2**63 - 1


class PostgresAway(Exception):
    """The database cannot be used now. The text says where it is and the kind of fault, nothing else.

    `refused` says that it answered and does not let us in.
    """

    def __init__(self, place: str, fault: str, *, refused: bool = False) -> None:
        super().__init__(f"the database at {place} is away: {fault}")
        self.place = place
        self.fault = fault
        self.refused = refused


class Postgres:
    """Connections of one user to one database, made when they are needed.

    `schema` is where its tables stand, if the URL does not say. `prepare` is awaited with each new connection,
    `notice` is told once when the database goes away, and with None when it is back.

    Raises:
        StartError: the driver is not installed.
    """

    def __init__(
        self,
        url: PostgresUrl,
        schema: str,
        *,
        connections: int = 2,
        connect_within: float = 3.0,
        within: float = 5.0,
        clock: Clock | None = None,
        prepare: Callable[[Any], Awaitable[None]] | None = None,
        notice: Callable[[PostgresAway | None], None] = lambda away: None,
    ) -> None:
        try:
            import asyncpg  # noqa: PLC0415  # an extra, imported where a configuration names a Postgres
        except ImportError:
            raise StartError("Postgres needs a package: pip install 'llmproxy-gateway[postgres]'") from None
        self._driver = asyncpg
        self._url = url
        self.place = url.place
        self.schema = url.schema or schema
        self._connect_within = connect_within
        self._within = within
        self._clock = clock or Clock()
        self._prepare = prepare
        self._notice = notice
        self._free = asyncio.Semaphore(connections)
        self._idle: list[Any] = []
        self._away: PostgresAway | None = None
        self._pause = FIRST_PAUSE
        self._again_at = 0.0
        self._closed = False

    @property
    def is_away(self) -> bool:
        """Whether it could not be used when it was last tried."""
        return self._away is not None

    @asynccontextmanager
    async def connection(self, within: float | None = None) -> AsyncIterator[Any]:
        """Lend a connection (asyncpg's) for `within` seconds, after which it is closed under whoever holds it.

        A transaction is begun by ``connection.transaction()``.

        Raises:
            PostgresAway: it failed, or hung, or was found away a moment ago. What was sent may have been done.
        """
        seconds = self._within if within is None else within
        await self._wait_for_place(seconds)
        try:
            connection = await self._take()
            loop = asyncio.get_running_loop()
            cutting = loop.call_later(seconds, connection.terminate)
            try:
                yield connection
            except BaseException as fault:
                self._judge(connection, fault, late=loop.time() >= cutting.when())
                raise
            else:
                self._works()
            finally:
                cutting.cancel()
                self._give_back(connection)
        finally:
            self._free.release()

    async def run(self, work: Callable[[Any], Awaitable[T]], *, within: float | None = None) -> T:
        """Await ``work(connection)``; see `connection`."""
        async with self.connection(within) as connection:
            return await work(connection)

    async def build(self, name: str, steps: Sequence[str]) -> None:
        """Bring the tables called `name` to the last of their `steps`, each some SQL that is never changed later.

        Several gateways may do so at once. Nothing is locked, and no right to create is needed, where all is done.

        Raises:
            PostgresAway: the database cannot be used now.
            StartError: a step fails, or the tables are of a newer gateway.
        """
        try:
            await self.run(lambda connection: take_steps(connection, self.schema, name, steps), within=60.0)
        except (self._driver.PostgresError, NewerSteps) as fault:
            raise StartError(
                f"the tables of {name!r} cannot be made at {self.place}: {type(fault).__name__}: {fault}"
            ) from None

    async def close(self) -> None:
        """Let go of all connections; those that are lent end with their use."""
        self._closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(Exception):
                async with asyncio.timeout(1.0):
                    await connection.close()
            connection.terminate()

    async def _wait_for_place(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        except TimeoutError:
            raise PostgresAway(self.place, "all connections are busy") from None

    async def _take(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        if self._away is not None and self._clock.now() < self._again_at:
            raise PostgresAway(self.place, self._away.fault, refused=self._away.refused)
        try:
            connection = await self._connect()
        except Exception as fault:  # whatever stands at the address may make the driver stumble in any way
            raise self._failed(fault) from None
        self._works()
        return connection

    async def _connect(self) -> Any:
        async with asyncio.timeout(self._connect_within):
            connection = await self._driver.connect(
                self._url.address,
                timeout=self._connect_within,
                server_settings={"application_name": "llmproxy", "search_path": self.schema},
            )
            try:
                if self._prepare is not None:
                    await self._prepare(connection)
            except BaseException:
                connection.terminate()
                raise
            return connection

    def _judge(self, connection: Any, fault: BaseException, *, late: bool) -> None:
        """Raise `PostgresAway` for a fault of the server or of the way to it; an answer leaves the connection good."""
        state = str(getattr(fault, "sqlstate", None) or "")
        lost = isinstance(fault, OSError) or state.startswith(_AWAY) or connection.is_closed()
        if lost or self._is_confused(fault):
            connection.terminate()
            if not isinstance(fault, Exception):
                return
            raise self._failed(TimeoutError() if late else fault) from None
        if not isinstance(fault, Exception) or isinstance(fault, PostgresAway):
            connection.terminate()

    def _is_confused(self, fault: BaseException | None) -> bool:
        """Whether the driver lost track of what the server says, as it does of one that dies between two questions.

        What is told then may be a later fault: that a transaction cannot be taken back on such a connection.
        """
        while fault is not None:
            if isinstance(fault, self._driver.InternalClientError):
                return True
            fault = fault.__context__
        return False

    def _give_back(self, connection: Any) -> None:
        if connection.is_closed():
            return
        if self._closed or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append(connection)

    def _failed(self, fault: Exception) -> PostgresAway:
        refused = str(getattr(fault, "sqlstate", None) or "").startswith(_REFUSED)
        away = PostgresAway(self.place, type(fault).__name__, refused=refused)
        self._pause = FIRST_PAUSE if self._away is None else min(self._pause * 2, LONGEST_PAUSE)
        # Workers that lost it together do not come back together.
        self._again_at = self._clock.now() + self._pause * random.uniform(0.5, 1.0)  # noqa: S311
        known, self._away = self._away, away
        if known is None:
            self._notice(away)
        return away

    def _works(self) -> None:
        if self._away is not None:
            self._away = None
            self._notice(None)


def postgres_value(value: Any) -> Any:
    """Return a value that a table takes, whatever a caller or a provider told: no NUL in texts, numbers of 64 bits."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd") if "\0" in value else value
    return _LARGEST if isinstance(value, int) and value > _LARGEST else value


def postgres_of(
    runtime: Runtime,
    url: PostgresUrl,
    schema: str,
    *,
    connections: int = 2,
    within: float = 5.0,
    prepare: Callable[[Any], Awaitable[None]] | None = None,
) -> Postgres:
    """Make a plugin's `Postgres`, which logs when it goes away and comes back and has a metric for it."""
    gauge = runtime.metrics.gauge(
        "llmproxy_postgres_away",
        "Whether a plugin's Postgres is away from a worker.",
        ("plugin",),
        mode="max",
    ).labels(runtime.name)
    gauge.set(0)

    def notice(away: PostgresAway | None) -> None:
        gauge.set(0 if away is None else 1)
        if away is None:
            runtime.log.info("postgres_back", place=url.place)
        else:
            runtime.log.error("postgres_away", place=away.place, fault=away.fault)

    return Postgres(
        url,
        schema,
        connections=connections,
        within=within,
        clock=runtime.clock,
        prepare=prepare,
        notice=notice,
    )
