import asyncio
import os
import signal
import socket

import pytest

from llmproxy.control import Channel, WorkerControl, tell_start_failed, unreadable
from llmproxy.errors import StartError
from llmproxy.orders import (
    Abort,
    Answer,
    Ask,
    Build,
    Built,
    Commit,
    Committed,
    Drain,
    Failed,
    PeerDied,
    Ready,
    ReloadResult,
    StartFailed,
)


class Recorder:
    """A controller that writes down what it is told."""

    def __init__(self):
        self.told = []
        self.fault = None
        self.release = asyncio.Event()

    async def build(self, generation, data):
        self.told.append(("build", generation, data))
        if self.fault:
            raise self.fault
        return ["a note"]

    async def commit(self, generation):
        self.told.append(("commit", generation))
        if self.fault:
            raise self.fault

    async def abort(self, generation):
        self.told.append(("abort", generation))

    async def drain(self, timeout, *, handover):
        self.told.append(("drain", timeout, handover))
        await self.release.wait()

    def peer_died(self, slot, pid):
        self.told.append(("peer_died", slot, pid))


@pytest.fixture
def controller():
    return Recorder()


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


@pytest.fixture
async def link(ends, controller):
    async with WorkerControl(ends[1], 7.5, controller) as link:
        yield link


@pytest.fixture
def channel(ends):
    return ends[0]


async def hear(channel, count=1):
    heard = []
    while len(heard) < count:
        await asyncio.sleep(0.002)
        heard += channel.receive()[0]
    return heard


async def test_ready_is_told(channel, link):
    link.ready()

    assert await hear(channel) == [Ready()]


async def test_a_generation_is_built_and_committed(channel, link, controller):
    channel.send(Build(2, b"config"))
    channel.send(Commit(2))

    assert await hear(channel, 2) == [Built(2, ("a note",)), Committed(2)]
    assert controller.told == [("build", 2, b"config"), ("commit", 2)]


async def test_a_refusal_is_told_in_its_own_words_and_aborted(channel, link, controller):
    controller.fault = StartError("routes: no such upstream")
    channel.send(Build(2, b"config"))
    channel.send(Abort(2))

    assert await hear(channel) == [Failed(2, "routes: no such upstream")]
    await asyncio.sleep(0.01)
    assert controller.told[-1] == ("abort", 2)


async def test_an_unforeseen_fault_is_told_by_its_kind_only(channel, link, controller):
    controller.fault = RuntimeError("sk-secret")
    channel.send(Build(2, b"config"))

    assert await hear(channel) == [Failed(2, "the build failed with RuntimeError")]


async def test_a_fault_in_a_commit_ends_the_worker(channel, link, controller):
    controller.fault = RuntimeError("half swapped")
    channel.send(Commit(2))

    with pytest.raises(RuntimeError, match="half swapped"):
        await link.drained()


async def test_a_wish_gets_its_own_answer(channel, link):
    async def supervise():
        asks = await hear(channel, 2)
        for ask in reversed(asks):
            channel.send(Answer(ask.id, ReloadResult(True, 5, ask.wish)))

    async with asyncio.TaskGroup() as group:
        reload, roll = group.create_task(link.reload()), group.create_task(link.roll())
        group.create_task(supervise())

    assert reload.result() == ReloadResult(True, 5, "reload")
    assert roll.result() == ReloadResult(True, 5, "roll")


async def test_draining_does_not_wait_for_a_build_and_ends_when_done(channel, link, controller):
    channel.send(Drain(3.0, handover=True))
    channel.send(PeerDied(1, 4242))
    async with asyncio.TaskGroup() as group:
        drained = group.create_task(link.drained())
        await asyncio.sleep(0.02)
        waiting = not drained.done()
        controller.release.set()

    assert waiting
    assert sorted(controller.told) == [("drain", 3.0, True), ("peer_died", 1, 4242)]


async def test_a_worker_without_supervisor_drains_and_its_wishes_are_refused(channel, link, controller):
    async with asyncio.TaskGroup() as group:
        before = group.create_task(link.reload())
        await asyncio.sleep(0.01)
        channel.sock.close()
        controller.release.set()
        await link.drained()
    after = await link.reload()

    assert controller.told == [("drain", 7.5, False)]
    assert before.result().reason == after.reason == "the supervisor is gone"


async def test_a_drain_that_does_not_return_ends_soon_after_its_timeout(
    channel, link, controller, monkeypatch
):
    monkeypatch.setattr("llmproxy.control.DRAIN_GRACE", 0.0)
    channel.send(Drain(0.02, handover=False))
    await link.drained()

    assert controller.told == [("drain", 0.02, False)]


async def test_a_signal_to_one_worker_asks_for_a_successor(channel, link):
    os.kill(os.getpid(), signal.SIGTERM)

    assert await hear(channel) == [Ask(1, "replace")]


async def test_a_message_larger_than_the_sockets_buffer_waits_in_the_channel(ends, controller):
    channel, theirs = ends
    data = bytes(3_000_000)
    channel.send(Build(2, data))
    blocked = channel.blocked
    async with WorkerControl(theirs, 1.0, controller):
        while channel.blocked:
            channel.flush()
            await asyncio.sleep(0.001)
        built = await hear(channel)

    assert blocked
    assert built == [Built(2, ("a note",))]
    assert controller.told == [("build", 2, data)]


def test_a_channel_to_a_dead_worker_swallows_and_says_so(ends):
    channel, theirs = ends
    theirs.close()
    channel.send(Commit(2))

    assert channel.receive() == ([], False)
    assert not channel.blocked


def test_why_a_worker_cannot_start_is_heard_before_its_end(ends):
    channel, theirs = ends
    tell_start_failed(theirs, "no such upstream", 78)
    theirs.close()

    assert channel.receive() == ([StartFailed("no such upstream", 78)], False)


def test_a_worker_that_speaks_something_else_is_as_gone(ends):
    channel, theirs = ends
    theirs.sendall(b"\xff" * 100)

    assert channel.receive() == ([], False)


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(OSError, match="No such file") as missing:
        (tmp_path / "none").read_bytes()

    assert unreadable(missing.value) == f"cannot read '{tmp_path / 'none'}': No such file or directory"
