"""Members that come and go under load: nobody's request fails, whichever registry tells of them.

A route with one attempt makes it strict: no failure can be hidden by another try elsewhere. Each member is a server of
its own that ends as one should: it leaves the registry, the gateway hears of it, what it does is done, then it is gone.
`pytest tests/integration/test_discovery.py -m slow -s` makes 100 changes for each registry and prints a table.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson
import pytest
from tests.plugins.registries import FakeConsul, FakeDns, FakeEureka, FakeKubernetes

from llmproxy.testing import Judge, RawClient, RawReply, RunningGateway, running_gateway

from .load import chat, fault
from .process import GatewayProcess

CALLERS = 8


class Registry(Protocol):
    """Somewhere that members are listed."""

    def put(self, ports: Iterable[int]) -> None:
        """List those on loopback."""


class FileRegistry:
    """A file that is renamed into place."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, ports: Iterable[int]) -> None:
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(f"- 127.0.0.1:{port}" for port in ports))
        new.replace(self.path)


Opened = tuple[Registry, dict[str, Any]]


@asynccontextmanager
async def dns(folder: Path) -> AsyncIterator[Opened]:
    async with FakeDns() as server:
        named = {"name": "_http._tcp.backend.test.", "records": "srv", "servers": [server.address]}
        yield server, {**named, "min_ttl": "50ms"}


@asynccontextmanager
async def kubernetes(folder: Path) -> AsyncIterator[Opened]:
    async with FakeKubernetes() as api:
        token = folder / "token"
        token.write_text("the-token")
        named = {"service": "backend", "namespace": "shop", "token_file": str(token)}
        yield api, {**named, "api": api.url}


@asynccontextmanager
async def file(folder: Path) -> AsyncIterator[Opened]:
    registry = FileRegistry(folder / "members.yaml")
    yield registry, {"path": str(registry.path), "interval": "50ms"}


@asynccontextmanager
async def consul(folder: Path) -> AsyncIterator[Opened]:
    async with FakeConsul() as agent:
        yield agent, {"service": "backend", "address": agent.url}


@asynccontextmanager
async def eureka(folder: Path) -> AsyncIterator[Opened]:
    async with FakeEureka() as server:
        yield server, {"application": "backend", "servers": [f"{server.url}/eureka"], "interval": "50ms"}


SOURCES: dict[str, Callable[[Path], Any]] = {
    each.__name__: each for each in (dns, kubernetes, file, consul, eureka)
}


def config(kind: str, settings: dict[str, Any], **route: Any) -> dict[str, Any]:
    target = {"upstream": "backend", "members": "backends"}
    return {
        "listen": ["127.0.0.1:0"],
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"level": "info", "format": "json"},
        "upstreams": {"backend": {"base_url": "http://backend.test/v1", "dialect": "openai"}},
        "plugins": {"backends": {"use": f"discovery_{kind}", **settings}},
        "pools": {"all": {"strategy": "round_robin", "targets": [target]}},
        "models": {"fast": {"pool": "all"}},
        "routes": [{"name": "models", "match": {"path": "/v1/*"}, "attempts": 1, **route}],
    }


@dataclass
class Tally:
    """What became of the requests."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)


class Fleet:
    """The servers that are listed, and those that ended."""

    gateway: GatewayProcess

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.running: dict[Judge, AsyncExitStack] = {}
        #: Requests that members have served which are gone, and changes that the gateway has heard of.
        self.served = 0
        self.changes = 0

    async def start(self) -> Judge:
        stack = AsyncExitStack()
        judge = await stack.enter_async_context(Judge())
        self.running[judge] = stack
        self.registry.put([each.port for each in self.running])
        return judge

    async def end(self, judge: Judge) -> None:
        """Leave the registry, wait until nobody asks any more, then be gone."""
        stack = self.running.pop(judge)
        self.registry.put([each.port for each in self.running])
        await self.heard()
        async with asyncio.timeout(10):
            while judge.open:
                await judge.change()
        self.served += judge.totals.requests
        await stack.aclose()

    async def heard(self) -> None:
        """Wait until the gateway has heard of one more change."""
        self.changes += 1
        await self.gateway.said("members_changed", self.changes, within=10.0)

    async def close(self) -> None:
        for stack in self.running.values():
            await stack.aclose()


async def ask(url: str, tally: Tally, stopped: asyncio.Event, number: int) -> None:
    """Ask without a pause: whole answers, short streams, and streams that last longer than a change."""
    asked = number
    while not stopped.is_set():
        try:
            async with RawClient(url, timeout=20.0) as client:
                for _ in range(25):
                    if stopped.is_set():
                        break
                    asked += 1
                    stream = asked % 3 != 0
                    slow = "events=20; delay=0.01" if asked % 6 == 1 else ""
                    reply = await client.exchange(chat(stream=stream, judge=slow))
                    what = fault(reply, stream=stream)
                    tally.failed.append(what) if what else None
                    tally.answered += not what
        except (OSError, ValueError) as error:
            tally.failed.append(repr(error))


@asynccontextmanager
async def load(url: str) -> AsyncIterator[Tally]:
    tally, stopped = Tally(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(ask(url, tally, stopped, number))
        try:
            yield tally
        finally:
            stopped.set()


async def change_under_load(kind: str, changes: int, folder: Path) -> tuple[Tally, Fleet]:
    """Add and remove members by turns while callers ask; return what became of their requests."""
    rng = random.Random(kind)
    async with SOURCES[kind](folder) as (registry, settings):
        fleet = Fleet(registry)
        for _ in range(3):
            await fleet.start()
        path = folder / "gateway.json"
        path.write_bytes(orjson.dumps(config(kind, settings)))
        try:
            with GatewayProcess("-c", path) as gateway:
                fleet.gateway = gateway
                await fleet.heard()
                async with load(gateway.url) as tally:
                    for number in range(changes):
                        await asyncio.sleep(0.05)
                        if number % 2:
                            await fleet.end(rng.choice(list(fleet.running)))
                        else:
                            await fleet.start()
                            await fleet.heard()
        finally:
            await fleet.close()
    return tally, fleet


def show(kind: str, changes: int, tally: Tally, fleet: Fleet) -> None:
    asked = f"{tally.answered:7} answered ({fleet.served} by members that left) {len(tally.failed):4} failed"
    print(f"\n{kind:12} {changes:4} changes {asked}", end="")


@pytest.mark.parametrize(
    "kind",
    [kind if kind in {"dns", "file"} else pytest.param(kind, marks=pytest.mark.slow) for kind in SOURCES],
)
async def test_members_come_and_go_and_no_request_fails(kind: str, tmp_path: Path) -> None:
    tally, fleet = await change_under_load(kind, 4, tmp_path)
    show(kind, 4, tally, fleet)

    assert tally.failed == []
    assert tally.answered > fleet.served > 0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", SOURCES)
async def test_a_hundred_changes_and_no_request_fails(kind: str, tmp_path: Path) -> None:
    tally, fleet = await change_under_load(kind, 100, tmp_path)
    show(kind, 100, tally, fleet)

    assert tally.failed == []
    assert tally.answered > fleet.served > 0


def begin_to_end(judge: Judge) -> None:
    """Have a server refuse new connections and end those that carry nothing, as one does that is told to stop."""
    judge._server.close()
    for protocol in list(judge._protocols):
        if protocol._answering.current is None:
            protocol.transport.close()


async def test_a_member_that_stops_before_its_registry_tells_is_passed_over(tmp_path: Path) -> None:
    async with file(tmp_path) as (registry, settings):
        fleet = Fleet(registry)
        for _ in range(3):
            await fleet.start()
        path = tmp_path / "gateway.json"
        path.write_bytes(orjson.dumps(config("file", settings, attempts=3)))
        try:
            with GatewayProcess("-c", path) as gateway:
                fleet.gateway = gateway
                await fleet.heard()
                async with load(gateway.url) as tally:
                    for _ in range(2):
                        await asyncio.sleep(0.3)
                        stopping = next(iter(fleet.running))
                        begin_to_end(stopping)
                        await asyncio.sleep(0.5)
                        await fleet.end(stopping)
                        await fleet.start()
                        await fleet.heard()
        finally:
            await fleet.close()

    assert tally.failed == []
    assert tally.answered > 0


async def first_of(gateway: RunningGateway) -> RawReply:
    async with RawClient(gateway.url) as client:
        return await client.exchange(chat())


async def until_answered(gateway: RunningGateway) -> RawReply:
    async with asyncio.timeout(10):
        while (reply := await first_of(gateway)).status != 200:
            await asyncio.sleep(0.05)
    return reply


async def test_a_registry_that_is_away_at_the_start_is_told_to_callers_and_waited_for() -> None:
    async with FakeConsul() as agent, Judge() as judge:
        agent.put([judge.port])
        agent.broken = 500
        tree = config("consul", {"service": "backend", "address": agent.url, "wait": "50ms"})
        async with running_gateway(tree) as gateway:
            away = await first_of(gateway)
            agent.broken = 0
            back = await until_answered(gateway)

    assert away.status == 503
    assert away.header("retry-after") is not None
    assert back.status == 200


async def test_the_last_list_outlives_a_reload_while_the_registry_is_away() -> None:
    async with FakeConsul() as agent, Judge() as judge:
        agent.put([judge.port])
        tree = config("consul", {"service": "backend", "address": agent.url, "wait": "50ms"})
        async with running_gateway(tree) as gateway:
            before = await until_answered(gateway)
            agent.broken = 500
            agent.wake()
            result = await gateway.reload({**tree, "log": {"level": "warning", "format": "json"}})
            after = await first_of(gateway)

    assert result.ok
    assert (before.status, after.status) == (200, 200)


async def test_a_registry_that_answers_nonsense_or_nobody_changes_nothing() -> None:
    async with FakeConsul() as agent, Judge() as judge:
        agent.put([judge.port])
        async with running_gateway(config("consul", {"service": "backend", "address": agent.url})) as gateway:
            replies = [await until_answered(gateway)]
            for nonsense in (b"<html>", b"[]", b'{"a": 1}'):
                agent.nonsense = nonsense
                agent.wake()
                agent.index += 1
                asked = len(agent.asked)
                async with asyncio.timeout(10):
                    while len(agent.asked) < asked + 2:
                        await asyncio.sleep(0.02)
                replies.append(await first_of(gateway))
            kept = [orjson.loads(line)["reason"] for line in gateway.log if b"members_kept" in line]

    assert [reply.status for reply in replies] == [200] * 4
    assert kept == ["malformed", "empty", "malformed"]
