import asyncio
from contextlib import asynccontextmanager

import pytest

from llmproxy.sharing import SharedPool


class Thing:
    """What is shared; counts how often it is opened and closed, and in which task."""

    def __init__(self, fault=None):
        self.log = []
        self.open = 0
        self.tasks = []
        self.fault = fault
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.may_close = asyncio.Event()
        self.may_close.set()

    @asynccontextmanager
    async def __call__(self):
        self.tasks.append(asyncio.current_task())
        await self.may_open.wait()
        if self.fault is not None:
            raise self.fault
        self.open += 1
        assert self.open == 1
        self.log.append("open")
        try:
            yield self
        finally:
            await self.may_close.wait()
            self.tasks.append(asyncio.current_task())
            self.open -= 1
            self.log.append("close")


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_shared_thing_survives_a_reload():
    pool, thing = SharedPool(), Thing()
    async with pool.use("k", thing) as old:
        inner = pool.use("k", Thing())
        new = await inner.__aenter__()
    kept = list(thing.log)
    await inner.__aexit__(None, None, None)

    assert old is new is thing
    assert kept == ["open"]
    assert thing.log == ["open", "close"]


async def test_a_shared_thing_that_nobody_holds_is_made_anew():
    pool, thing = SharedPool(), Thing()
    for _ in range(2):
        async with pool.use("k", thing):
            pass

    assert thing.log == ["open", "close"] * 2


async def test_each_key_has_its_own():
    pool, one, two = SharedPool(), Thing(), Thing()

    async with pool.use(1, one) as first, pool.use(2, two) as second:
        assert (first, second) == (one, two)


async def test_two_who_come_at_once_share_one():
    pool, thing = SharedPool(), Thing()

    async def hold():
        async with pool.use("k", thing) as got:
            await settle()
            return got

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(hold()) for _ in range(3)]

    assert {task.result() for task in tasks} == {thing}
    assert thing.log == ["open", "close"]


async def test_a_shared_thing_is_entered_and_left_in_one_task():
    pool, thing = SharedPool(), Thing()
    async with asyncio.TaskGroup() as group:
        held = pool.use("k", thing)
        await group.create_task(held.__aenter__())
        await group.create_task(held.__aexit__(None, None, None))

    assert len(set(thing.tasks)) == 1


async def test_a_new_one_is_not_opened_while_the_old_one_is_closing():
    pool, thing = SharedPool(), Thing()
    thing.may_close.clear()
    held = pool.use("k", thing)
    await held.__aenter__()
    closing = asyncio.ensure_future(held.__aexit__(None, None, None))
    await settle()
    again = pool.use("k", thing)
    opening = asyncio.ensure_future(again.__aenter__())
    await settle()

    assert thing.log == ["open"]

    thing.may_close.set()
    await closing
    await opening

    assert thing.log == ["open", "close", "open"]

    await again.__aexit__(None, None, None)


async def test_a_fault_in_opening_reaches_all_who_wait_and_the_next_tries_again():
    pool, thing = SharedPool(), Thing(fault=LookupError("no"))
    thing.may_open.clear()
    waiting = [asyncio.ensure_future(pool.use("k", thing).__aenter__()) for _ in range(2)]
    await settle()
    thing.may_open.set()

    for each in waiting:
        with pytest.raises(LookupError, match="no"):
            await each
    thing.fault = None
    async with pool.use("k", thing):
        assert thing.log == ["open"]


async def test_one_who_gives_up_waiting_does_not_disturb_the_others():
    pool, thing = SharedPool(), Thing()
    thing.may_open.clear()
    held = pool.use("k", thing)
    patient = asyncio.ensure_future(held.__aenter__())
    hasty = asyncio.ensure_future(pool.use("k", thing).__aenter__())
    await settle()
    hasty.cancel()
    thing.may_open.set()

    assert await patient is thing
    assert hasty.cancelled()

    await held.__aexit__(None, None, None)

    assert thing.log == ["open", "close"]


async def test_an_opening_that_nobody_waits_for_any_more_is_given_up():
    pool, thing = SharedPool(), Thing()
    thing.may_open.clear()
    hasty = asyncio.ensure_future(pool.use("k", thing).__aenter__())
    await settle()
    hasty.cancel()
    await asyncio.wait([hasty])
    thing.may_open.set()
    await settle()

    assert thing.log == []

    async with pool.use("k", thing):
        assert thing.log == ["open"]


async def test_a_fault_in_closing_is_logged_and_the_next_gets_a_new_one(capsys):
    class Stuck:
        async def __aenter__(self):
            return self

        async def __aexit__(self, *exc):
            raise LookupError("stuck")

    pool, thing = SharedPool(), Thing()
    async with pool.use("k", Stuck):
        pass
    await settle()
    async with pool.use("k", thing) as got:
        assert got is thing

    assert "task_failed" in capsys.readouterr().out
