import asyncio
import os
import signal

import pytest

from llmproxy.errors import StartError
from llmproxy.filewatch import Source, file_source
from llmproxy.orders import ReloadResult
from llmproxy.solo import SoloControl


class Recorder:
    """A controller that writes down what it is told."""

    def __init__(self):
        self.told = []
        self.refusal = None
        self.commit_fault = None
        self.release = asyncio.Event()

    async def build(self, generation, data):
        self.told.append(("build", generation, data))
        if self.refusal:
            raise self.refusal
        return ["listen: needs a restart"]

    async def commit(self, generation):
        self.told.append(("commit", generation))
        if self.commit_fault:
            raise self.commit_fault

    async def abort(self, generation):
        self.told.append(("abort", generation))

    async def drain(self, timeout, *, handover):
        self.told.append(("drain", timeout, handover))
        await self.release.wait()


@pytest.fixture
def controller():
    return Recorder()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(b"one")
    return path


@pytest.fixture
async def link(path, controller):
    async with SoloControl(file_source(path, watch=False), 7.5, controller) as link:
        link.ready()
        yield link


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


async def test_a_reload_builds_and_swaps(link, controller):
    result = await link.reload()

    assert result == ReloadResult(True, 2, notes=("listen: needs a restart",))
    assert controller.told == [("build", 2, b"one"), ("commit", 2)]


async def test_a_refused_reload_keeps_the_old_generation_and_its_number_is_not_used_again(link, controller):
    controller.refusal = StartError("routes: no such upstream")
    refused = await link.reload()
    controller.refusal = None
    done = await link.reload()

    assert refused == ReloadResult(False, 1, "routes: no such upstream")
    assert (done.ok, done.generation) == (True, 3)
    assert controller.told[:2] == [("build", 2, b"one"), ("abort", 2)]


async def test_a_file_that_is_gone_refuses_the_reload(link, path, controller):
    path.unlink()

    assert (await link.reload()).reason == f"cannot read '{path}': No such file or directory"
    assert controller.told == []


async def test_a_source_that_refuses_refuses_the_reload(controller):
    def read():
        raise StartError("no provider key in the environment")

    async with SoloControl(Source(read), 1.0, controller) as link:
        assert (await link.reload()).reason == "no provider key in the environment"


async def test_reloads_run_one_after_the_other(link, controller):
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(link.reload())

    assert [step[:2] for step in controller.told] == [
        (step, generation) for generation in (2, 3, 4) for step in ("build", "commit")
    ]


async def test_a_fault_in_a_commit_ends_the_process(link, controller):
    controller.commit_fault = RuntimeError("half swapped")
    with pytest.raises(RuntimeError, match="half swapped"):
        await link.reload()
    with pytest.raises(RuntimeError, match="half swapped"):
        await link.drained()


async def test_hangup_reloads(link, controller):
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: ("commit", 2) in controller.told)


async def test_a_changed_file_reloads(path, controller, monkeypatch):
    monkeypatch.setattr("llmproxy.solo.POLL_SECONDS", 0.01)
    source = file_source(path, watch=True)
    source.read()
    async with SoloControl(source, 1.0, controller):
        path.write_bytes(b"two!")
        await until(lambda: ("commit", 2) in controller.told)

    assert controller.told[0] == ("build", 2, b"two!")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_then_the_worker_may_leave(link, controller, number):
    async with asyncio.TaskGroup() as group:
        drained = group.create_task(link.drained())
        os.kill(os.getpid(), number)
        await until(lambda: controller.told)
        waiting = not drained.done()
        controller.release.set()

    assert waiting
    assert controller.told == [("drain", 7.5, False)]


async def test_a_second_signal_stops_at_once(link, controller, monkeypatch):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: controller.told)
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: codes)

    assert codes == [128 + signal.SIGTERM]


async def test_a_single_worker_is_not_rolled(link):
    os.kill(os.getpid(), signal.SIGUSR2)

    assert "run two or more" in (await link.roll()).reason
