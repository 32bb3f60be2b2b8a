import asyncio
import gc

import pytest
from structlog.testing import capture_logs

from llmproxy.tasks import spawn


async def test_a_task_has_its_name_and_result():
    async def work():
        return 1

    task = spawn(work(), name="adder")

    assert await task == 1
    assert task.get_name() == "adder"


async def test_a_task_is_kept_though_nobody_holds_it():
    done = asyncio.Event()
    start = asyncio.Event()

    async def work():
        await start.wait()
        done.set()

    _ = spawn(work(), name="alone")
    await asyncio.sleep(0)
    gc.collect()
    start.set()
    await done.wait()


async def test_a_fault_is_heard():
    async def work():
        raise LookupError("lost")

    with capture_logs() as logs:
        task = spawn(work(), name="finder")
        with pytest.raises(LookupError):
            await task
        await asyncio.sleep(0)

    (line,) = logs
    assert (line["event"], line["task"], line["fault"]) == ("task_failed", "finder", "LookupError")


async def test_a_cancelled_task_is_no_fault():
    with capture_logs() as logs:
        task = spawn(asyncio.sleep(10), name="sleeper")
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)

    assert logs == []
