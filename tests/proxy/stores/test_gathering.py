from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from llmproxy.stores import StoreAway
from llmproxy.stores.gathering import Gathering, Put
from llmproxy.tasks import spawn


class Written:
    """What was written, transaction by transaction."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.fault: Exception | None = None

    def __call__(self, puts: Sequence[Put]) -> list[bool]:
        if self.fault is not None:
            raise self.fault
        self.batches.append([key for key, _, _ in puts])
        return [key != b"large" for key, _, _ in puts]


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def gathering(written: Written) -> Gathering:
    return Gathering(written)


def put(number: int) -> Put:
    return b"%d" % number, b"", None


async def test_what_comes_together_is_written_together(gathering: Gathering, written: Written) -> None:
    async with asyncio.TaskGroup() as group:
        kept = [group.create_task(gathering.add(put(number))) for number in range(5)]

    assert written.batches == [[b"0", b"1", b"2", b"3", b"4"]]
    assert [each.result() for each in kept] == [True] * 5


async def test_each_hears_of_its_own(gathering: Gathering) -> None:
    async with asyncio.TaskGroup() as group:
        small = group.create_task(gathering.add(put(1)))
        large = group.create_task(gathering.add((b"large", b"", None)))

    assert (small.result(), large.result()) == (True, False)


async def test_too_many_wait_for_nobody(gathering: Gathering, written: Written) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(130):
            group.create_task(gathering.add(put(number)))

    assert [len(batch) for batch in written.batches] == [64, 64, 2]


async def test_a_fault_is_everybodys_and_passes(gathering: Gathering, written: Written) -> None:
    written.fault = StoreAway("full")
    outcomes = await asyncio.wait([spawn(gathering.add(put(number)), name="add") for number in range(3)])
    assert [type(done.exception()) for done in outcomes[0]] == [StoreAway] * 3

    written.fault = None
    assert await gathering.add(put(4)) is True


async def test_who_leaves_keeps_nobody_from_being_written(gathering: Gathering, written: Written) -> None:
    leaving, staying = (spawn(gathering.add(put(number)), name="add") for number in range(2))
    await asyncio.sleep(0)
    leaving.cancel()

    assert await staying is True
    assert written.batches == [[b"0", b"1"]]


async def test_what_waits_can_be_written_at_once(gathering: Gathering, written: Written) -> None:
    await gathering.add(put(0))
    task = spawn(gathering.add(put(1)), name="add")
    await asyncio.sleep(0)
    gathering.flush()

    assert written.batches == [[b"0"], [b"1"]]
    assert await task is True
