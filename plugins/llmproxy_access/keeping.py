"""Keeps a worker's copy of the directory like the database: told at once by the other workers, and looking itself.

The database is read in a thread of its own. Requests meet the copy alone, so that a slow disk or a database that is
away delays none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import Any, Final, TypeVar

import apsw

from llmproxy.plugin import GatewayError, PostgresAway, Runtime, StartError
from llmproxy_access.config import DatabaseConfig
from llmproxy_access.database import Database
from llmproxy_access.directory import Directory
from llmproxy_access.issuing import public_id
from llmproxy_access.lateness import BEAT, Lateness
from llmproxy_access.opening import pepper_of, source_of
from llmproxy_access.permissions import Grant
from llmproxy_access.records import Contents

T = TypeVar("T")

#: Seconds between looks: a change that nobody told of is seen after these and the time of one look.
PAUSE: Final = 0.5
#: Seconds that a look may take before somebody is let in.
PATIENCE: Final = 0.5


class DirectoryKeeper:
    """One worker's copy of a database's directory, and the way to change the database."""

    def __init__(self, config: DatabaseConfig, runtime: Runtime) -> None:
        self._pepper = pepper_of(config)
        self.directory = Directory(Contents(), 0.0)
        self._config = config
        self._clock = runtime.clock
        self._bus = runtime.bus
        self._log = runtime.log
        self._news = asyncio.Event()
        self._source = source_of(config, runtime, self._news.set)
        self._topic = f"access:{sha256(self._source.place.encode()).hexdigest()[:16]}"
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="access")
        self._database: Database | None = None
        self._lateness = Lateness(self._clock.now())
        #: What wall time is ahead of the gateway's clock, so that a request need not ask for both.
        self._ahead = 0.0
        self._told_away = False
        self._leave_bus: Callable[[], None] = lambda: None

    def is_late(self, now: float) -> bool:
        """Whether there is to be a look before anybody is let in."""
        return self._lateness.is_late(now)

    async def catch_up(self) -> None:
        """Look at once, and wait for it a moment; then what is known has to do."""
        known_at = self._lateness.known_at
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.refresh()
        if self._lateness.known_at == known_at:
            self._lateness.gives_up(self._clock.now())

    def find(self, key: bytes, now: float) -> Grant | None:
        """Return what a key grants at a time of the gateway's clock; None for a key that is not from here.

        Raises:
            GatewayError: the key has expired (401), or what is known is too old to go by (503).
        """
        digest = sha256(key).digest()
        grant = self.directory.seen.get(digest)
        if grant is None:
            grant = self._search(key, digest)
        if grant is not None and grant.expires is not None and grant.expires <= now + self._ahead:
            raise expired("The API key has expired.")
        if now - self._lateness.known_at > self._config.stale and public_id(key) is not None:
            raise GatewayError(503, "keys_unavailable", "Keys cannot be checked now.", retry_after=5)
        return grant

    def _search(self, key: bytes, digest: bytes) -> Grant | None:
        public = public_id(key)
        grant = None if public is None else self.directory.find(public, self._pepper.digest(key))
        if grant is not None:
            self.directory.seen[digest] = grant
        return grant

    async def change(self, work: Callable[[Database], T]) -> tuple[T, list[str]]:
        """Change the database; return what came of it, and the workers that do not know yet: they look within a second.

        Raises:
            OrderRefused: it cannot be done.
        """
        made, version = await self._do(lambda database: (work(database), database.version()))
        await self.refresh()
        answers = await self._bus.ask(self._topic)
        knows = {peer.slot: int(payload) for peer, payload in answers.payloads.items()}
        knows |= {peer.slot: 0 for peer in answers.missing} | {self._bus.me.slot: self.directory.version}
        return made, [str(slot) for slot in sorted(knows) if knows[slot] < version]

    async def look(self, work: Callable[[Database], T]) -> T:
        """Ask the database something."""
        return await self._do(work)

    def note(self, event: str, **fields: str) -> None:
        """Log what was changed; no secret belongs here."""
        self._log.info(event, **fields)

    @property
    def age(self) -> float:
        """For how many seconds the database may have changed unseen."""
        return self._clock.now() - self._lateness.known_at

    def wall(self) -> float:
        """Return wall time."""
        return self._clock.wall()

    async def refresh(self) -> None:
        """Take over what has changed; what is known stays where the database cannot be read."""
        try:
            await self._take_over()
        except PostgresAway:
            pass  # whoever keeps the connections has told of it
        except Exception as fault:  # whatever it is: who holds a key goes on with what is known, for a while
            if not self._told_away:
                why = {"why": str(fault)} if isinstance(fault, StartError) else {}
                self._log.error("access_database_away", fault=type(fault).__name__, **why)
            self._told_away = True
        else:
            self._told_away = False

    async def _take_over(self) -> None:
        asked_at = self._clock.now()
        self._lateness.asks(asked_at)
        try:
            directory = await self._do(self._newer)
        except Exception:
            self._lateness.gives_up(self._clock.now())
            raise
        self._lateness.knows(asked_at)
        self._ahead = self._clock.wall() - self._clock.now()
        if directory is not None:
            # An older one too: a Postgres may be put back to what it was.
            self.directory = directory

    def _newer(self, database: Database) -> Directory | None:
        if database.version() == self.directory.version:
            return None
        return Directory(database.read(), self._clock.wall())

    async def _do(self, work: Callable[[Database], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)

    def _work(self, work: Callable[[Database], T]) -> T:
        if self._database is None:
            self._database = self._source.open()
        return work(self._database)

    async def _answer(self, payload: bytes, asker: Any) -> bytes:
        await self.refresh()
        return str(self.directory.version).encode()

    async def open(self) -> None:
        """Read the database, and be told of changes. One that is away is read when it is there.

        Raises:
            StartError: it cannot be used.
        """
        try:
            await self._take_over()
        except PostgresAway as away:
            if away.refused:
                raise StartError(f"database.url: {away}") from None
        self._leave_bus = self._bus.answer(self._topic, self._answer)

    async def close(self) -> None:
        """Let go of the database."""
        self._leave_bus()
        self._source.give_up()
        if self._database is not None:
            with suppress(apsw.Error):
                await self._do(Database.close)
        await self._source.close()
        self._thread.shutdown(wait=False)

    async def watch(self) -> None:
        """Look for changes for ever: others than this host's workers make some."""
        while True:
            await self._clock.sleep(PAUSE)
            await self.refresh()

    async def beat(self) -> None:
        """Notice for ever whether this worker runs."""
        while True:
            await self._clock.sleep(BEAT)
            self._lateness.beat(self._clock.now())

    async def hear(self) -> None:
        """Look at once when another gateway tells of a change, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.refresh()


@asynccontextmanager
async def open_keeper(config: DatabaseConfig, runtime: Runtime) -> AsyncIterator[DirectoryKeeper]:
    """Hold a keeper that goes on looking, whatever generation began it."""
    keeper = DirectoryKeeper(config, runtime)
    age = runtime.metrics.gauge(
        "llmproxy_access_age_seconds", "How old is what a worker knows of its keys.", ("plugin",), mode="max"
    ).labels(runtime.name)
    try:
        await keeper.open()
        stop_telling = runtime.metrics.collect(lambda: age.set(keeper.age))
        try:
            async with asyncio.TaskGroup() as group:
                works = [group.create_task(work()) for work in (keeper.watch, keeper.beat, keeper.hear)]
                try:
                    yield keeper
                finally:
                    for work in works:
                        work.cancel()
        finally:
            stop_telling()
    finally:
        await keeper.close()


def expired(message: str) -> GatewayError:
    """Return the refusal of a credential that was good once."""
    return GatewayError(401, "expired_api_key", message, headers=[("WWW-Authenticate", "Bearer")])
