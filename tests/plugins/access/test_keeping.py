from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from tests.postgresserver import PostgresServer

from llmproxy.plugin import Clock, GatewayError, Metrics, PostgresUrl, Secret, StartError
from llmproxy.tasks import spawn
from llmproxy_access import keeping
from llmproxy_access.config import DatabaseConfig
from llmproxy_access.database import Database
from llmproxy_access.issuing import Pepper
from llmproxy_access.keeping import DirectoryKeeper, open_keeper
from llmproxy_access.postgresrows import open_postgres
from llmproxy_access.records import KeyOrder

from .conftest import PEPPER, Wall

WEB = KeyOrder(name="web", tenant="shop")


class Peer(NamedTuple):
    slot: int


_slots = count(10)


class Bus:
    """One worker's end of a bus; `others` answer."""

    def __init__(self) -> None:
        self.me = Peer(next(_slots))
        self.answerers: dict[str, Any] = {}
        self.others: list[Bus] = []
        self.deaf: dict[Any, str] = {}

    def answer(self, topic: str, handler: Any) -> Callable[[], None]:
        self.answerers[topic] = handler
        return lambda: None

    async def ask(self, topic: str) -> Any:
        payloads = {other.me: await other.answerers[topic](b"", None) for other in self.others}
        return SimpleNamespace(payloads=payloads, missing=self.deaf)


class Log:
    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, event: str, **fields: Any) -> None:
        self.errors.append(f"{event} {fields}")

    def info(self, event: str, **fields: Any) -> None:
        """Of no concern."""


class Still(Clock):
    """A clock that stands, on which sleepers never wake: nothing looks by itself."""

    def __init__(self, wall: Wall) -> None:
        self.time = 1000.0
        self.now = lambda: self.time  # type: ignore[method-assign, misc]  # a clock's now is no method
        self.wall = wall  # type: ignore[method-assign]  # likewise

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


@pytest.fixture
def clock(wall: Wall) -> Still:
    return Still(wall)


@pytest.fixture
def keep(tmp_path: Path, clock: Still) -> Any:
    """Open keepers of one database, as workers do."""
    config = DatabaseConfig(
        path=str(tmp_path / "state" / "access.db"),
        pepper=Secret("pepper-0123456789abcdef-0123456789"),
        stale=60.0,
    )

    @asynccontextmanager
    async def keep(
        bus: Bus | None = None, clock: Clock = clock, url: str | None = None
    ) -> AsyncIterator[DirectoryKeeper]:
        told = (
            config if url is None else DatabaseConfig(url=PostgresUrl(url), pepper=config.pepper, stale=60.0)
        )
        runtime: Any = SimpleNamespace(
            name="access", clock=clock, bus=bus or Bus(), log=Log(), metrics=Metrics()
        )
        async with open_keeper(told, runtime) as keeper:
            yield keeper

    return keep


async def test_a_key_that_was_made_is_known_at_once_here_and_by_who_answers(keep: Any, clock: Still) -> None:
    here, there = Bus(), Bus()
    here.others = [there]
    async with keep(here) as one, keep(there) as other:
        issued, missing = await one.change(lambda database: database.create(WEB))
        grants = [keeper.find(issued.key.encode(), clock.time) for keeper in (one, other)]
        await other.change(lambda database: database.revoke("web"))
        await one.refresh()
        after = [keeper.find(issued.key.encode(), clock.time) for keeper in (one, other)]

    assert missing == []
    assert [grant.caller.key for grant in grants] == ["web", "web"]
    assert after == [None, None]


async def test_who_was_held_up_looks_before_he_goes_by_what_he_knows(keep: Any, clock: Still) -> None:
    async with keep() as other, keep() as keeper:
        early = keeper.is_late(clock.time + 0.9)
        await other.change(lambda database: database.create(WEB))
        clock.time += 1.5
        late = keeper.is_late(clock.time)
        await keeper.catch_up()

        assert (early, late, keeper.is_late(clock.time)) == (False, True, False)
        assert keeper.directory.names == {"web"}


async def test_who_was_held_up_waits_a_moment_for_a_database_that_is_away(
    keep: Any, clock: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()
    async with keep() as keeper:
        monkeypatch.setattr(keeping, "PATIENCE", 0.01)
        monkeypatch.setattr(Database, "version", lambda database: going.wait(10.0))
        clock.time += 1.5
        await keeper.catch_up()
        late = keeper.is_late(clock.time)
        going.set()

    assert late is False


async def test_who_did_not_answer_is_told(keep: Any) -> None:
    bus = Bus()
    bus.deaf = {Peer(3): "it did not answer"}
    async with keep(bus) as keeper:
        _, missing = await keeper.change(lambda database: database.create(WEB))

    assert missing == ["3"]


async def test_a_worker_that_cannot_read_is_told_too(keep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(database: Database) -> Any:
        raise OSError("away")

    bus = Bus()
    async with keep(bus) as keeper:
        monkeypatch.setattr(Database, "read", away)
        _, missing = await keeper.change(lambda database: database.create(WEB))

    assert missing == [str(bus.me.slot)]


async def test_a_change_from_outside_is_found_by_looking(
    keep: Any, file_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PAUSE", 0.001)
    async with keep(clock=Clock()) as keeper:
        issued = file_database.create(WEB)
        async with asyncio.timeout(10.0):
            while keeper.find(issued.key.encode(), Clock.now()) is None:
                await asyncio.sleep(0.001)
        file_database.revoke("web")
        async with asyncio.timeout(10.0):
            while keeper.find(issued.key.encode(), Clock.now()) is not None:
                await asyncio.sleep(0.001)


async def test_what_has_another_shape_is_no_concern(keep: Any, clock: Still) -> None:
    async with keep() as keeper:
        assert keeper.find(b"sk-another-gateways", clock.time + 3600) is None


async def test_an_expired_key_is_told_so_to_who_holds_it(keep: Any, clock: Still) -> None:
    async with keep() as keeper:
        order = KeyOrder(name="web", tenant="shop", lifetime=30)
        issued, _ = await keeper.change(lambda database: database.create(order))
        key = issued.key.encode()
        before = keeper.find(key, clock.time + 29.9)
        with pytest.raises(GatewayError, match="expired") as caught:
            keeper.find(key, clock.time + 30)
        wrong = keeper.find(key[:-1] + (b"x" if key[-1:] != b"x" else b"y"), clock.time + 30)

    assert before is not None
    assert (caught.value.status, caught.value.code) == (401, "expired_api_key")
    assert wrong is None


async def test_a_database_that_is_away_is_done_without_for_a_while(
    keep: Any, clock: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(database: Database) -> int:
        raise OSError("away")

    async with keep() as keeper:
        issued, _ = await keeper.change(lambda database: database.create(WEB))
        key = issued.key.encode()
        monkeypatch.setattr(Database, "version", away)
        clock.time += 60
        await keeper.refresh()
        await keeper.refresh()
        known = keeper.find(key, clock.time)
        with pytest.raises(GatewayError) as caught:
            keeper.find(key, clock.time + 0.1)
        monkeypatch.undo()
        await keeper.refresh()
        again = keeper.find(key, clock.time + 0.1)

    assert known is not None
    assert again is not None
    assert (caught.value.status, caught.value.code) == (503, "keys_unavailable")
    assert keeper._log.errors == ["access_database_away {'fault': 'OSError'}"]


async def test_other_gateways_of_a_postgres_are_told_of_a_change(
    keep: Any, clock: Still, postgres_url: str
) -> None:
    # Neither looks by itself: their clock stands.
    async with keep(url=postgres_url) as one, keep(url=postgres_url) as other, asyncio.timeout(20.0):
        issued, _ = await one.change(lambda database: database.create(WEB))
        while (grant := other.find(issued.key.encode(), clock.time)) is None:
            await asyncio.sleep(0.005)
        await one.change(lambda database: database.revoke("web"))
        while other.find(issued.key.encode(), clock.time) is not None:
            await asyncio.sleep(0.005)

    assert grant.caller.key == "web"


async def test_a_postgres_that_is_away_at_the_start_is_read_when_it_is_there(
    keep: Any, clock: Still, wall: Wall, own_postgres: PostgresServer
) -> None:
    url = own_postgres.url()
    with open_postgres(PostgresUrl(url), PEPPER, wall) as database:
        key = database.create(WEB).key.encode()
    own_postgres.stop()
    async with keep(url=url) as keeper, asyncio.timeout(20.0):
        stranger = keeper.find(b"sk-another-gateways", clock.time)
        with pytest.raises(GatewayError) as caught:
            keeper.find(key, clock.time)
        old = keeper.age
        own_postgres.start()
        while keeper.age:
            clock.time += 1.0
            await keeper.refresh()
        grant = keeper.find(key, clock.time)

    assert stranger is None
    assert (caught.value.status, caught.value.code, old) == (503, "keys_unavailable", inf)
    assert grant.caller.key == "web"
    assert [error.split()[0] for error in keeper._log.errors] == ["postgres_away"]


async def test_a_postgres_that_does_not_let_us_in_ends_the_start(
    keep: Any, shared_postgres: PostgresServer
) -> None:
    with pytest.raises(StartError, match=r"database\.url: .*InvalidPasswordError") as caught:
        async with keep(url=shared_postgres.url(password="canary")):
            pass

    assert "canary" not in str(caught.value)


async def test_a_postgres_of_another_pepper_ends_the_start(keep: Any, postgres_url: str, wall: Wall) -> None:
    with open_postgres(PostgresUrl(postgres_url), Pepper("another-0123456789abcdef-0123456789"), wall):
        pass

    with pytest.raises(StartError, match=r"database\.pepper"):
        async with keep(url=postgres_url):
            pass


async def test_who_closes_does_not_wait_for_a_postgres_that_hangs(
    keep: Any, own_postgres: PostgresServer
) -> None:
    async with asyncio.timeout(3.0), keep(url=own_postgres.url()) as keeper:
        own_postgres.hang()
        asking = spawn(keeper.refresh(), name="asking")
        await asyncio.sleep(0.05)
    own_postgres.resume()
    await asking
