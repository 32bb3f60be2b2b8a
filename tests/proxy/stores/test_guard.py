from __future__ import annotations

import asyncio
import time

import pytest

from llmproxy.stores import StoreAway
from llmproxy.stores.breaker import Breaker
from llmproxy.stores.guard import Guard
from llmproxy.tasks import spawn


def make_guard(timeout: float = 5) -> Guard:
    return Guard("mine://", timeout, Breaker(1, 60), answers=(LookupError,))


async def answer(value: object) -> object:
    if isinstance(value, Exception):
        raise value
    return value


async def test_an_answer_passes() -> None:
    assert await make_guard().call(answer, 3) == 3


@pytest.mark.parametrize("kind", [ConnectionResetError, ValueError, AttributeError, RecursionError])
async def test_a_fault_is_the_store_away_and_opens_the_breaker(kind: type[Exception]) -> None:
    guard = make_guard()

    with pytest.raises(StoreAway, match=f"store mine:// failed: {kind.__name__}$"):
        await guard.call(answer, kind("with hunter2"))
    with pytest.raises(StoreAway, match="is away; it will be asked again"):
        await guard.call(answer, 3)


async def test_a_refusal_passes_and_shows_the_store_is_there() -> None:
    guard = make_guard()

    for _ in range(3):
        with pytest.raises(KeyError):
            await guard.call(answer, KeyError("no"))

    assert await guard.call(answer, 3) == 3


async def test_a_call_that_hangs_ends() -> None:
    with pytest.raises(StoreAway, match="TimeoutError"):
        await make_guard(0.01).call(asyncio.sleep, 60)


async def test_a_caller_that_leaves_is_no_failure() -> None:
    guard = make_guard()
    call = spawn(guard.call(asyncio.sleep, 60), name="call")
    await asyncio.sleep(0)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert await guard.call(answer, 3) == 3


async def test_a_cancellation_that_the_client_loses_is_found_again() -> None:
    begun = asyncio.Event()

    async def deaf() -> str:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "as if nothing had been"
        return ""

    task = spawn(make_guard().call(deaf), name="deaf")
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()


async def test_an_answer_that_is_there_when_its_time_is_over_counts() -> None:
    """Nobody was there to read it: the process was busy with something else."""
    loop = asyncio.get_running_loop()
    answered = loop.create_future()

    async def late() -> object:
        loop.call_later(0.02, answered.set_result, 3)
        time.sleep(0.05)  # this is what keeps the loop busy
        return await answered

    assert await make_guard(0.01).call(late) == 3


async def test_no_timeout_is_none() -> None:
    assert await make_guard(0).call(answer, 3) == 3
