"""Hard limits against the judge's own count: many callers, four workers, callers who leave, workers that are killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from llmproxy.testing import Judge, RawClient

from .process import GatewayProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
stores: {{counters: {{url: "{store}"}}}}
upstreams: {{judge: {{base_url: "{judge}/v1"}}}}
models:
  counted: {{upstream: judge, model: judged}}
  worded: {{upstream: judge, model: judged}}
  paid: {{upstream: judge, model: judged}}
prices: {{"judge/judged": {{input: 1, output: 10}}}}
plugins:
  access: {{mode: open}}
  quota:
    store: counters
    lease: 2s
    limits:
    - {{name: requests, scope: model, match: counted, counts: requests, at_most: {requests}, window: month}}
    - {{name: at-once, scope: model, match: counted, counts: in_flight, at_most: 6}}
    - {{name: words, scope: model, match: worded, counts: tokens, at_most: {tokens}, window: month}}
    - {{name: budget, scope: model, match: paid, counts: money, at_most: {money}, rolling: 30d}}
pipeline: [access, quota]
routes: [{{name: models, match: {{path: "/v1/*"}}, upstream: judge}}]
"""
MODELS = ("counted", "worded", "paid")
INPUT = 7  # what the judge says that every prompt has
LONGEST = 40


def request(name: str, model: str, events: int, delay: float) -> bytes:
    """Write a request for a stream of so many tokens, all of which the judge bills once it was asked."""
    body = orjson.dumps(
        {
            "model": model,
            "stream": True,
            "max_tokens": LONGEST,
            "messages": [{"role": "user", "content": "Hi"}],
        }
    )
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: gateway", "Content-Type: application/json"]
    lines += [f"x-request-id: {name}", f"x-judge: events={events}; delay={delay}"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Callers:
    """Ask for all three models, leave some answers, and remember what each request would come to."""

    def __init__(self, url: str, judge: Judge, leaving: float) -> None:
        self.url = url
        self.asked: dict[str, tuple[str, int]] = {}
        self.refused: dict[str, int] = dict.fromkeys(MODELS, 0)
        self._judge = judge
        self._leaving = leaving

    async def ask(self, names: Iterator[str], seed: int) -> None:
        """Ask again and again."""
        choose = random.Random(seed)
        for name in names:
            try:
                await self._ask(name, choose)
            except (OSError, ValueError):
                continue  # the worker was killed under it

    async def _ask(self, name: str, choose: random.Random) -> None:
        model, events = choose.choice(MODELS), choose.randint(1, LONGEST)
        data = request(name, model, events, choose.choice([0, 0, 0.001]))
        self.asked[name] = model, events
        async with RawClient(self.url, timeout=20.0) as client:
            if model != "worded" and choose.random() < self._leaving:
                await client.send(data)
                await asyncio.sleep(choose.choice([0, 0.001, 0.01, 0.03]))
                return
            await self._take(await client.exchange(data), model)

    async def _take(self, reply: Any, model: str) -> None:
        if reply.status in (402, 429):
            self.refused[model] += 1
        else:
            assert reply.status == 200, reply.body

    async def use_up(self, model: str) -> None:
        """Ask, one after the other, until the limit is reached."""
        refused = 0
        while refused < 2:  # the first may be because another call is not settled yet
            before = self.refused[model]
            if refused:
                await asyncio.sleep(0.2)
            name = f"last-{model}-{len(self.asked)}"
            self.asked[name] = model, 1
            async with RawClient(self.url, timeout=20.0) as client:
                await self._take(await client.exchange(request(name, model, 1, 0)), model)
            refused = refused + 1 if self.refused[model] > before else 0

    def billed(self, model: str) -> tuple[int, int, int]:
        """Return requests, tokens and microdollars that the judge bills for a model."""
        events = [
            self.asked[name][1]
            for name, served in self._judge.served.items()
            for _ in served
            if self.asked[name][0] == model
        ]
        return len(events), sum(INPUT + each for each in events), sum(INPUT + 10 * each for each in events)


@pytest.fixture(params=["lmdb", "valkey"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a fresh store."""
    if request.param == "lmdb":
        return f"lmdb://{tmp_path}/counters"
    server = request.getfixturevalue("valkey")
    return f"valkey://{server.host}:{server.port}/0?prefix={uuid4().hex}:&timeout=2s"


async def run(folder: Path, store: str, count: int, *, leaving: float, kills: int = 0) -> None:
    """Have `count` requests made of limits that let about half of them pass, and compare."""
    requests, tokens, money = count // 6, count // 3 * 13, count // 3 * 60
    names = iter([f"asked-{number}" for number in range(count)])
    file = folder / "gateway.yaml"
    async with Judge() as judge:
        file.write_text(
            CONFIG.format(
                judge=judge.url, store=store, requests=requests, tokens=tokens, money=money / 1_000_000
            )
        )
        with GatewayProcess("-c", file, "--workers", "4") as gateway:
            callers = Callers(gateway.url, judge, leaving)
            async with asyncio.TaskGroup() as group:
                for seed in range(64):
                    group.create_task(callers.ask(names, seed))
                for round_ in range(1, kills + 1):
                    while len(callers.asked) < count * round_ // (kills + 1):
                        await asyncio.sleep(0.01)
                    os.kill(random.Random(round_).choice(gateway.workers()), signal.SIGKILL)
            await asyncio.sleep(2.5 if kills else 0.3)
            for model in MODELS:
                await callers.use_up(model)
        billed = {model: callers.billed(model) for model in MODELS}
    print(f"{count} requests: {billed}, limits {requests} {tokens} {money}, refused {callers.refused}")

    assert billed["counted"][0] <= requests
    assert billed["worded"][1] <= tokens
    assert billed["paid"][2] <= money
    assert min(callers.refused.values()) > 0
    if not kills:
        largest = 1024 + LONGEST + 200  # what bounds any of these requests
        assert billed["worded"][1] > tokens - largest
    if not kills and not leaving:
        assert billed["counted"][0] == requests
        assert billed["paid"][2] > money - 1024 - 200 - 10 * LONGEST


async def test_nothing_passes_a_hard_limit_and_nothing_is_refused_without_need(
    tmp_path: Path, store: str
) -> None:
    await run(tmp_path, store, 900, leaving=0.0)


async def test_nothing_passes_a_hard_limit_when_callers_leave_and_workers_die(
    tmp_path: Path, store: str
) -> None:
    await run(tmp_path, store, 900, leaving=0.3, kills=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_nothing_of_20_000_requests_passes_a_hard_limit(tmp_path: Path, store: str) -> None:
    await run(tmp_path, store, 20_000, leaving=0.3, kills=10)
