"""The loop of discovery plugins, with a clock that the test moves."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from llmproxy.discovery import (
    BadRegistry,
    DiscoverySettings,
    Listed,
    MemberSource,
    RegistryAway,
    discovering,
    spread,
)
from llmproxy.plugin import Plugin, PoolMember, hookimpl
from llmproxy.runtime import Clock
from llmproxy.testing import make_process, running_route

A = PoolMember("10.0.0.1", 80)


class Paused(Clock):
    """Writes the pauses down, and lets them pass when the test says so."""

    def __init__(self):
        self.pauses = []
        self.go = asyncio.Semaphore(0)

    async def sleep(self, seconds):
        self.pauses.append(round(seconds, 2))
        await self.go.acquire()


class Scripted(MemberSource):
    """Does what the script says, look by look."""

    script = ()

    def __init__(self):
        self.steps = iter(self.script)
        self.closed = False

    async def look(self):
        step = next(self.steps)
        if isinstance(step, Exception):
            raise step
        return step

    async def close(self):
        self.closed = True


class Discovered(Plugin[DiscoverySettings]):
    Config = DiscoverySettings
    lists_members = True

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime):
        type(self).list = runtime.members
        async with discovering(runtime, self.config, self.source):
            yield


@asynccontextmanager
async def discovered(*script, reloaded=False, **config):
    """Run a generation whose only plugin follows the script."""
    clock = Paused()
    process = make_process(clock)
    if reloaded:
        process.reload = lambda: None
    source = type("Source", (Scripted,), {"script": script})()
    plugin = type("Once", (Discovered,), {"source": source})
    async with running_route({"registry": {"use": plugin, **config}}, process=process) as serving:
        yield plugin.list, clock, source, serving


async def settle(clock, pauses):
    async with asyncio.timeout(5):
        while len(clock.pauses) < pauses:
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def no_spread(monkeypatch):
    monkeypatch.setattr("llmproxy.discovery.random.random", lambda: 0.0)


async def test_a_list_is_looked_for_again_when_its_time_is_over():
    async with discovered(Listed([A], 30.0), Listed([A], 20.0)) as (listed, clock, _, _):
        await settle(clock, 1)
        clock.go.release()
        await settle(clock, 2)

    assert listed.members == (A,)
    assert clock.pauses == [30.0, 20.0]


async def test_pauses_grow_while_it_fails_and_begin_anew_when_it_is_back():
    away = RegistryAway("it is away")
    script = [away, BadRegistry("nonsense"), OSError(), Listed([A], 5.0), away]
    async with discovered(*script) as (listed, clock, _, _):
        for number in range(1, 6):
            await settle(clock, number)
            clock.go.release()

    assert clock.pauses[:5] == [0.25, 0.5, 1.0, 5.0, 0.25]
    assert listed.members == (A,)


async def test_a_fault_of_any_kind_does_not_end_the_watching():
    async with discovered(ValueError("a secret"), Listed([A], 5.0)) as (listed, clock, _, _):
        await settle(clock, 1)
        clock.go.release()
        await settle(clock, 2)

    assert listed.members == (A,)


async def test_nobody_is_believed_only_if_that_is_allowed():
    async with discovered(Listed([A], 1.0), Listed([], 1.0)) as (listed, clock, _, _):
        await settle(clock, 1)
        clock.go.release()
        await settle(clock, 2)
    async with discovered(Listed([A], 1.0), Listed([], 1.0), allow_empty=True) as (empty, clock, _, _):
        await settle(clock, 1)
        clock.go.release()
        await settle(clock, 2)

    assert listed.members == (A,)
    assert empty.members == ()


async def test_a_gateway_that_starts_waits_before_it_says_that_it_is_ready():
    async with discovered(RegistryAway("away"), Listed([A], 9.0), wait="7s") as (listed, clock, _, serving):
        [chore] = serving.generation.chores()
        known = listed.known.is_set()
        clock.go.release()
        await chore.work()

    assert chore.within == 7.0
    assert not known
    assert listed.members == (A,)


async def test_a_generation_that_replaces_another_waits_for_the_first_list():
    async with discovered(Listed([A], 9.0), reloaded=True) as (listed, _, _, serving):
        assert listed.members == (A,)
        assert serving.generation.chores() == []


async def test_a_generation_does_not_wait_for_ever():
    async with discovered(RegistryAway("away"), reloaded=True, wait="10ms") as (listed, _, _, _):
        assert listed.members is None


async def test_what_is_looked_at_is_closed_with_its_generation():
    async with discovered(Listed([A], 1.0)) as (_, clock, source, _):
        await settle(clock, 1)

    assert source.closed


def test_pauses_are_never_shorter_than_they_should_be(monkeypatch):
    monkeypatch.setattr("llmproxy.discovery.random.random", lambda: 0.99)

    assert 30.0 <= spread(30.0) <= 33.0
