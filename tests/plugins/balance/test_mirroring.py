"""Copies for mirrors: their share, their bounds, and that nobody hears of their fate."""

import asyncio
from random import Random

import pytest

from llmproxy.body import Body
from llmproxy.decode import decode_struct
from llmproxy.plugin import Caller, Clock, Endpoint, GatewayError, Reply
from llmproxy.pools import compile_pools
from llmproxy.poolsettings import PoolConfig
from llmproxy.testing import make_exchange
from llmproxy_balance.mirroring import LARGEST, MOST, Mirrors


def pool(share):
    config = decode_struct(PoolConfig, ["a", {"upstream": "m", "mirror": share}], "p")
    return compile_pools({"p": config}, lambda pool, ref: None)["p"]


class Scene:
    def __init__(self):
        self.tasks, self.twins = [], []
        self.mirrors = Mirrors(Clock(), Random(1), self.start)
        self.answer = Reply(200)
        self.gate = asyncio.Event()

    def start(self, work, name):
        self.tasks.append(asyncio.ensure_future(work))

    async def call_next(self, twin):
        self.twins.append(twin)
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def copies(self, share=1, times=1, **how):
        for _ in range(times):
            await self.mirrors.copy(exchange(**how), pool(share), self.call_next)
            await asyncio.sleep(0)

    async def end(self):
        self.gate.set()
        await asyncio.gather(*self.tasks)


def exchange(body=b"{}", **how):
    made = make_exchange(body=body, caller=Caller("t"), endpoints=[Endpoint("a")], **how)
    made.deadline = 5.0
    return made


@pytest.fixture
async def scene():
    made = Scene()
    yield made
    await made.end()


async def test_a_copy_asks_the_same_of_the_mirror_as_the_same_caller_with_time_of_its_own(scene):
    await scene.copies(body=b'{"a":1}')
    [twin] = scene.twins

    assert (twin.endpoint, await twin.body(), twin.caller.tenant) == (Endpoint("m"), b'{"a":1}', "t")
    assert twin.deadline != 5.0
    assert twin.parent is not None


async def test_a_mirror_gets_its_share(scene):
    scene.gate.set()
    await scene.copies(share=0.25, times=400)

    assert 70 < len(scene.twins) < 130


async def test_no_more_copies_are_under_way_than_may_be(scene):
    await scene.copies(times=MOST + 10)

    assert len(scene.twins) == MOST
    await scene.end()
    await scene.copies()
    assert len(scene.twins) == MOST + 1


async def test_what_is_large_or_streams_through_is_not_copied(scene):
    await scene.copies(body=b"x" * (LARGEST + 1))
    streaming = exchange()
    streaming.upload = Body()
    await scene.mirrors.copy(streaming, pool(1), scene.call_next)

    assert scene.twins == []


@pytest.mark.parametrize("fault", [GatewayError(502, "x", "y"), RuntimeError("z")])
async def test_a_fault_is_nobodys(scene, fault):
    scene.answer = fault
    await scene.copies(times=3)
    await scene.end()

    assert scene.mirrors.under_way == 0


async def test_a_streamed_answer_is_read_to_its_end(scene):
    scene.answer = Reply(200, body=Body())
    await scene.copies()
    scene.gate.set()
    await asyncio.sleep(0.01)
    assert scene.mirrors.under_way == 1
    scene.answer.body.feed(b"x")
    scene.answer.body.end()
    await scene.end()

    assert scene.mirrors.under_way == 0
