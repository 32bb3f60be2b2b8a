from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmproxy.bus import Bus
from llmproxy.caching import recents as module
from llmproxy.caching.parts import Part, part_of
from llmproxy.caching.recents import Recents
from llmproxy.runtime import Clock


class Frozen(Clock):
    """A clock that goes when told."""

    def __init__(self) -> None:
        self.time = 100.0
        self.now = lambda: self.time  # type: ignore[method-assign, assignment]


def parts(**values: object) -> list[Part]:
    return [part_of(name, value, "acme") for name, value in values.items()]


@pytest.fixture
def clock() -> Frozen:
    return Frozen()


@pytest.fixture
def recents(clock: Frozen) -> Recents:
    return Recents("cache", clock, Bus(None, 0))


async def test_the_nearest_key_of_the_same_tenant_and_route_is_found(recents: Recents, clock: Frozen) -> None:
    recents.remember("acme", "models", b"1", lambda: parts(temperature=0, seed=1))
    recents.remember("acme", "models", b"2", lambda: parts(temperature=0, seed=2, n=3))
    clock.time += 5
    near = await recents.nearest("acme", "models", parts(temperature=0.5, seed=1))

    assert near is not None
    assert [each.name for each in near.differences] == ["temperature"]
    assert near.seconds == 5


async def test_another_tenants_key_is_never_looked_at(recents: Recents) -> None:
    recents.remember("acme", "models", b"1", lambda: parts(temperature=0))

    assert await recents.nearest("other", "models", parts(temperature=0)) is None
    assert await recents.nearest("acme", "others", parts(temperature=0)) is None


async def test_the_same_key_has_no_differences(recents: Recents) -> None:
    recents.remember("acme", "models", b"1", lambda: parts(temperature=0))
    near = await recents.nearest("acme", "models", parts(temperature=0))

    assert near is not None
    assert near.differences == []


async def test_under_load_most_keys_are_not_taken_apart(recents: Recents, clock: Frozen) -> None:
    taken: list[int] = []

    def made(number: int) -> list[Part]:
        taken.append(number)
        return parts(number=number)

    for number in range(1000):
        recents.remember("acme", "models", b"%d" % number, lambda number=number: made(number))
    at_once = len(taken)
    clock.time += 1
    for number in range(1000):
        recents.remember("acme", "models", b"%d" % number, lambda number=number: made(number))

    assert at_once == module.BURST
    assert len(taken) == module.BURST + module.RATE


async def test_every_map_is_bounded(recents: Recents, clock: Frozen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PLACES", 2)
    monkeypatch.setattr(module, "MOST_KEYS", 3)
    monkeypatch.setattr(module, "MOST_PARTS", 4)
    for tenant in ("a", "b", "c"):
        for number in range(5):
            clock.time += 1
            recents.remember(tenant, "r", b"%d" % number, lambda number=number: parts(number=number) * 9)

    assert [tenant for tenant, _ in recents._places] == ["b", "c"]
    assert [list(keys) for keys in recents._places.values()] == [[b"2", b"3", b"4"]] * 2
    assert await recents.nearest("a", "r", parts(number=1)) is None


@pytest.fixture
async def buses(tmp_path: Path) -> AsyncIterator[list[Bus]]:
    made = [Bus(tmp_path, slot) for slot in range(2)]
    for bus in made:
        await bus.start()
    yield made
    for bus in made:
        await bus.close()


async def test_the_other_workers_are_asked_too(buses: list[Bus]) -> None:
    mine, theirs = [Recents("cache", Clock(), bus) for bus in buses]
    mine.remember("acme", "models", b"1", lambda: parts(temperature=0, seed=1, n=2))
    theirs.remember("acme", "models", b"2", lambda: parts(temperature=0, seed=2, n=1))
    near = await mine.nearest("acme", "models", parts(temperature=0.5, seed=2, n=1))
    theirs.close()
    left = await mine.nearest("acme", "models", parts(temperature=0.5, seed=2, n=1))

    assert near is not None
    assert [each.name for each in near.differences] == ["temperature"]
    assert left is not None
    assert len(left.differences) == 3
