"""Single flight through a whole gateway with four workers: one upstream call, whoever leaves or dies."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from llmproxy.testing import Judge, RawClient, RawReply

from .load import chat
from .process import GatewayProcess, clean_environ

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
upstreams: {{judge: {{base_url: "{judge}/v1"}}}}
models: {{fast: {{upstream: judge, model: fast}}}}
plugins: {{access: {{mode: open}}, collapsing: {{use: "collapsing:CollapsingPlugin"}}}}
pipeline: [access, collapsing]
routes: [{{name: models, match: {{path: "/v1/*"}}, upstream: judge}}]
"""
CALLING = re.compile(r"calling in worker (\d+)")


class Site:
    """A judge, and a gateway of four workers before it."""

    def __init__(self, judge: Judge, gateway: GatewayProcess) -> None:
        self.judge = judge
        self.gateway = gateway

    def calling(self) -> list[int]:
        """Return the workers that made a call, in order."""
        return [int(found[1]) for line in tuple(self.gateway.lines) if (found := CALLING.search(line))]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Judge() as judge:
        file = tmp_path / "gateway.yaml"
        file.write_text(CONFIG.format(judge=judge.url))
        path = os.pathsep.join([clean_environ()["PYTHONPATH"], str(Path(__file__).parent)])
        with GatewayProcess("-c", file, "--workers", "4", environ={"PYTHONPATH": path}) as gateway:
            await gateway.said("serving")  # all four
            yield Site(judge, gateway)


class Callers:
    """Callers that have asked the same, each on a connection of its own."""

    def __init__(self, clients: list[RawClient]) -> None:
        self.clients = clients

    async def answers(self) -> list[RawReply | None]:
        """Return each one's answer, None if it was cut off."""
        return [await _answer(client) for client in self.clients]


async def _answer(client: RawClient) -> RawReply | None:
    try:
        return await client.read_reply(method="POST")
    except (OSError, EOFError, ValueError, AssertionError):
        return None


@asynccontextmanager
async def asking(site: Site, count: int, request: bytes) -> AsyncIterator[Callers]:
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            clients.append(await stack.enter_async_context(RawClient(site.gateway.url, timeout=30.0)))
            await clients[-1].send(request)
        yield Callers(clients)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
async def test_five_hundred_identical_requests_make_one_call(site: Site, stream: bool) -> None:
    request = chat(stream=stream, judge="wait=2; events=50; delay=0.01; size=200")
    async with asking(site, 500, request) as callers:
        answers = await callers.answers()
    whole = [answer for answer in answers if answer is not None]
    workers = Counter(answer.header("x-worker") for answer in whole)

    assert (site.judge.totals.requests, site.judge.totals.complete) == (1, 1)
    assert Counter(answer.status for answer in whole) == {200: 500}
    assert len({answer.body for answer in whole}) == 1
    assert Counter(answer.header("x-role") for answer in whole) == {"led": 1, "joined": 499}
    assert len(workers) == 4


@pytest.mark.parametrize("stream", [False, True])
async def test_the_leaving_of_the_leader_harms_nobody(site: Site, stream: bool) -> None:
    request = chat(stream=stream, judge="wait=1.5; events=20; delay=0.02")
    async with asking(site, 1, request) as leader:
        await until(lambda: site.judge.totals.requests == 1)
        async with asking(site, 40, request) as callers:
            await asyncio.sleep(0.5)
            await leader.clients[0].close()
            answers = await callers.answers()

    assert [answer.header("x-role") for answer in answers if answer is not None] == ["joined"] * 40
    assert len({answer.body for answer in answers if answer is not None}) == 1
    assert (site.judge.totals.requests, site.judge.totals.complete) == (1, 1)


async def test_the_upstream_is_left_when_the_last_caller_leaves(site: Site) -> None:
    request = chat(stream=True, judge="events=1000; delay=0.05")
    async with asking(site, 20, request) as callers:
        await asyncio.sleep(0.5)
        for client in callers.clients[:-1]:
            await client.close()
        await asyncio.sleep(0.2)
        before = site.judge.totals.abandoned
    await until(lambda: site.judge.totals.abandoned == 1)

    assert before == 0
    assert site.judge.totals.requests == 1


async def test_when_the_leaders_worker_is_killed_another_takes_over(site: Site) -> None:
    async with asking(site, 40, chat(judge="wait=1.5")) as callers:
        await until(lambda: len(site.calling()) == 1)
        await asyncio.sleep(0.5)
        os.kill(site.calling()[0], signal.SIGKILL)
        answers = await callers.answers()
    whole = [answer for answer in answers if answer is not None]

    assert len(site.calling()) == 2
    assert site.judge.totals.requests == 2
    assert 1 <= len(whole) < 40
    assert len({answer.body for answer in whole}) == 1
    assert Counter(answer.header("x-role") for answer in whole)["led"] == 1


async def test_a_burst_of_what_may_not_be_shared_is_not_put_in_a_row(site: Site) -> None:
    """All who waited for the first ask at once: none of their calls is answered before the last one is made."""
    request = chat(judge="wait=1.5").replace(b"Host:", b"X-Private: 1\r\nHost:")
    async with asking(site, 40, request) as callers:
        await until(lambda: site.judge.totals.requests == 40)
        complete = site.judge.totals.complete
        answers = await callers.answers()
    async with asking(site, 10, request) as again:
        await until(lambda: site.judge.totals.requests == 50)
        complete_again = site.judge.totals.complete
        next_answers = await again.answers()

    assert complete == 1
    assert complete_again == 40
    assert Counter(answer and answer.header("x-role") for answer in answers) == {"led": 1, "alone": 39}
    assert {answer and answer.header("x-role") for answer in next_answers} <= {"alone", "led"}
