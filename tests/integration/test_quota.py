"""Hard limits against the judge's own count and the ledger: callers who leave anywhere, workers that are killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import apsw
import orjson
import pytest

from llmproxy.testing import Judge, RawClient
from llmproxy.testing.verdicts import Line, Served

from .process import GatewayProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
stores: {{counters: {{url: "{store}"}}}}
upstreams: {{judge: {{base_url: "{judge}/v1"}}}}
models: {{{models}}}
prices: {{"judge/judged": {{input: 1, output: 10}}}}
plugins:
  access: {{mode: open}}
  quota: {{store: counters, lease: 2s, limits: {limits}}}
  ledger: {{directory: "{folder}/ledger", post_every: 200ms, on_abort: ceiling}}
pipeline: [access, quota, ledger]
routes:
- {{name: drained, match: {{path: "/v1/*", headers: {{x-drain: "1"}}}}, upstream: judge,
   plugins: [ledger: {{on_abort: drain}}]}}
- {{name: models, match: {{path: "/v1/*"}}, upstream: judge}}
"""
#: Each model has limits of all kinds, one of which is narrow.
MODELS = ("counted", "rated", "crowded", "worded", "paid")
INPUT = 7  # what the judge says that every prompt has
LONGEST = 40
AT_ONCE, BURST = 6, 20
CALLERS = 64
#: What bounds a request: what providers may add, its bytes, its answer.
MOST_INPUT = 1024 + 130


class Narrow:
    """The limits of a run, of which about half of its requests pass."""

    def __init__(self, count: int, leaving: float) -> None:
        ceiling = MOST_INPUT * leaving  # half of those who leave are drained
        self.requests = count // 10
        self.rate = max(BURST, count // 20)  # in a minute
        self.tokens = int(count // 10 * (27 + ceiling / 2)) + MOST_INPUT + LONGEST
        self.money = int(count // 10 * (207 + ceiling / 2)) + MOST_INPUT + 10 * LONGEST

    def limits(self, model: str) -> list[dict[str, Any]]:
        """Return all limits of a model."""

        def at_most(of: str, narrow: int) -> int:
            return narrow if model == of else 10**9

        limits: list[dict[str, Any]] = [
            {"counts": "requests", "at_most": at_most("counted", self.requests), "window": "month"},
            {
                "counts": "requests",
                "at_most": self.rate if model == "rated" else 10**6,
                "rate": "1m",
                "burst": BURST if model == "rated" else 10**6,
            },
            {"counts": "in_flight", "at_most": at_most("crowded", AT_ONCE)},
            {"counts": "tokens", "at_most": at_most("worded", self.tokens), "window": "month"},
            {"counts": "money", "at_most": at_most("paid", self.money) / 1_000_000, "rolling": "30d"},
        ]
        return [
            {"name": f"{model}-{number}", "scope": "model", "match": model, **limit}
            for number, limit in enumerate(limits)
        ]


class Counting(Judge):
    """A judge that knows how many requests of each model it has at once, and had at most."""

    def __init__(self) -> None:
        super().__init__()
        self.here: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.last = 0.0

    def begin(self, request_id: str, line: Line, method: str, target: str) -> Served:
        model = request_id.partition("-")[0]
        self.here[model] += 1
        self.most[model] = max(self.most[model], self.here[model])
        self.last = time.monotonic()
        return super().begin(request_id, line, method, target)

    def finish(self, served: Served) -> None:
        self.here[served.request_id.partition("-")[0]] -= 1
        super().finish(served)

    def close_line(self, line: Line, current: Served | None) -> None:
        if current is not None:
            self.here[current.request_id.partition("-")[0]] -= 1
        super().close_line(line, current)


def request(name: str, events: int, delay: float, *, drained: bool = False) -> bytes:
    """Write a request for a stream of so many tokens, all of which the judge bills once it was asked."""
    model = name.partition("-")[0]
    body = orjson.dumps(
        {
            "model": model,
            "stream": True,
            "max_tokens": max(events, LONGEST),
            "messages": [{"role": "user", "content": "Hi"}],
        }
    )
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: gateway", "Content-Type: application/json"]
    lines += [f"x-request-id: {name}", f"x-judge: events={events}; delay={delay}"]
    lines += ["x-drain: 1"] if drained else []
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Callers:
    """Ask for all models, leave at any point, and remember what each request would come to."""

    def __init__(self, url: str, judge: Judge, leaving: float) -> None:
        self.url = url
        self.asked: dict[str, int] = {}
        self.refused: dict[str, int] = dict.fromkeys(MODELS, 0)
        self.closed = 0
        self._judge = judge
        self._leaving = leaving

    async def ask(self, numbers: Iterator[int], seed: int) -> None:
        """Ask again and again."""
        choose = random.Random(seed)
        for number in numbers:
            try:
                await self._ask(number, choose)
            except (OSError, ValueError, EOFError):
                continue  # the worker was killed under it

    async def _ask(self, number: int, choose: random.Random) -> None:
        model, events = choose.choice(MODELS), choose.randint(1, LONGEST)
        name = f"{model}-{number}"
        data = request(name, events, choose.choice([0, 0, 0.001]), drained=choose.random() < 0.5)
        self.asked[name] = events
        async with RawClient(self.url, timeout=30.0) as client:
            if model != "crowded" and choose.random() < self._leaving:
                await self._leave(client, data, choose)
            else:
                await self._take(await client.exchange(data), model)

    async def _leave(self, client: RawClient, data: bytes, choose: random.Random) -> None:
        """Leave in the head, the body, while the request is on its way, or somewhere in the answer."""
        phase = choose.choice(["request", "wait", "wait", "answer", "answer"])
        if phase == "request":
            await client.send(data[: choose.randrange(1, len(data))])
        else:
            await client.send(data)
            if phase == "wait":
                await asyncio.sleep(choose.choice([0, 0.001, 0.003, 0.01, 0.03]))
            else:
                with suppress(TimeoutError):  # it was shorter
                    async with asyncio.timeout(0.1):
                        await client.read_exactly(choose.randint(1, 3000))
        if choose.random() < 0.5:
            client.reset()

    async def _take(self, reply: Any, model: str) -> int:
        if reply.status in (402, 429):
            self.refused[model] += 1
        elif reply.status == 503 and b"limits_unavailable" in reply.body:
            self.closed += 1  # the store was not to be had for a moment: a hard limit is closed then
        else:
            assert reply.status == 200, reply.body
        return int(reply.status)

    async def use_up(self, model: str) -> None:
        """Ask, one after the other, first for much, until not even a short answer fits."""
        for events in (20_000, 2000, 200, 1):
            refused = 0
            while refused < 2:  # the first may be because another call is not settled yet
                name = f"{model}-last{len(self.asked)}"
                self.asked[name] = events
                async with RawClient(self.url, timeout=30.0) as client:
                    status = await self._take(await client.exchange(request(name, events, 0)), model)
                refused = refused + 1 if status != 200 else 0
                if refused == 1:
                    await asyncio.sleep(0.2)

    def billed(self, model: str) -> tuple[int, int, int]:
        """Return requests, tokens and microdollars that the judge bills for a model."""
        events = [
            self.asked[name]
            for name, served in self._judge.served.items()
            for _ in served
            if name.partition("-")[0] == model
        ]
        return len(events), sum(INPUT + each for each in events), sum(INPUT + 10 * each for each in events)


class Run:
    """A run of so many requests, and what was counted of it: `async with Run(...)`."""

    def __init__(self, folder: Path, store: str, count: int, *, leaving: float, kills: int = 0) -> None:
        self.folder, self.store, self.count = folder, store, count
        self.leaving, self.kills = leaving, kills
        self.narrow = Narrow(count, leaving)

    async def go(self) -> Self:
        """Have the requests made, wait until what was held has ended, use up what is left."""
        self.began = time.monotonic()
        async with Counting() as self.judge:
            with GatewayProcess("-c", self._config(), "--workers", "4") as gateway:
                self.callers = Callers(gateway.url, self.judge, self.leaving)
                await self._ask(gateway)
                await asyncio.sleep(3.0 if self.kills else 0.3)
                self.loaded = {model: self.callers.billed(model) for model in MODELS}
                for model in ("counted", "worded", "paid"):
                    await self.callers.use_up(model)
                await self._taken_over()
                gateway.signal(signal.SIGTERM)
                await gateway.exited()
            self.billed = {model: self.callers.billed(model) for model in MODELS}
        self.rows = self._rows()
        self.seconds = time.monotonic() - self.began
        return self

    async def _ask(self, gateway: GatewayProcess) -> None:
        numbers = iter(range(self.count))
        async with asyncio.TaskGroup() as group:
            for seed in range(CALLERS):
                group.create_task(self.callers.ask(numbers, seed))
            for round_ in range(1, self.kills + 1):
                while len(self.callers.asked) < self.count * round_ // (self.kills + 1):
                    await asyncio.sleep(0.01)
                os.kill(random.Random(round_).choice(gateway.workers()), signal.SIGKILL)

    async def _taken_over(self) -> None:
        async with asyncio.timeout(20):
            while len(list((self.folder / "ledger").glob("*.lock"))) > 4:
                await asyncio.sleep(0.05)

    def _config(self) -> Path:
        file = self.folder / "gateway.yaml"
        limits = [limit for model in MODELS for limit in self.narrow.limits(model)]
        models = ", ".join(f"{model}: {{upstream: judge, model: judged}}" for model in MODELS)
        text = CONFIG.format(
            judge=self.judge.url,
            store=self.store,
            folder=self.folder,
            models=models,
            limits=orjson.dumps(limits).decode(),
        )
        file.write_text(text)
        return file

    def _rows(self) -> dict[str, list[tuple[str, int, int]]]:
        """Return state, tokens and cost of the ledger's rows, by model."""
        database = apsw.Connection(str(self.folder / "ledger" / "ledger.db"), flags=apsw.SQLITE_OPEN_READONLY)
        cursor = database.execute("SELECT * FROM attempts")
        names = [column[0] for column in cursor.get_description()]
        rows: dict[str, list[tuple[str, int, int]]] = {model: [] for model in MODELS}
        for values in cursor:
            row = dict(zip(names, values, strict=True))
            tokens = sum(row[name] for name in ("input", "cache_read", "cache_write", "output", "reasoning"))
            if row["model"] in rows:
                rows[row["model"]].append((row["state"], tokens, row["cost"]))
        database.close()
        return rows

    @property
    def tokens(self) -> int:
        """The tokens of the ledger for the model whose tokens are narrow."""
        return sum(tokens for _, tokens, _ in self.rows["worded"])

    @property
    def money(self) -> int:
        """The microdollars of the ledger for the model whose money is narrow."""
        return sum(cost for _, _, cost in self.rows["paid"])

    def tell(self) -> None:
        """Print the figures."""
        narrow, billed = self.narrow, self.billed
        states = {model: dict(Counter(state for state, _, _ in rows)) for model, rows in self.rows.items()}
        print(
            f"\n{self.count} requests, {self.kills} kills, {self.seconds:.0f} s, {self.store.split(':')[0]}\n"
            f"  requests: judge {billed['counted'][0]} of {narrow.requests}; "
            f"rate: judge {billed['rated'][0]} of {self.rate_allows:.0f}; "
            f"in flight: judge {self.judge.most['crowded']} of {AT_ONCE}\n"
            f"  tokens: judge {billed['worded'][1]}, ledger {self.tokens} of {narrow.tokens}; "
            f"money: judge {billed['paid'][2]}, ledger {self.money} of {narrow.money}\n"
            f"  before the rest was used up: {self.loaded}; refused {self.callers.refused}, "
            f"closed {self.callers.closed}\n  {states}"
        )

    @property
    def rate_allows(self) -> float:
        """The requests that the rate lets pass in the time that the run took."""
        return BURST + self.narrow.rate * (self.judge.last - self.began) / 60


async def run(folder: Path, store: str, count: int, *, leaving: float, kills: int = 0) -> None:
    """Have `count` requests made of limits that let about half of them pass, and compare."""
    found = await Run(folder, store, count, leaving=leaving, kills=kills).go()
    found.tell()
    narrow, billed = found.narrow, found.billed

    assert billed["counted"][0] <= narrow.requests
    assert billed["rated"][0] <= found.rate_allows
    assert found.judge.most["crowded"] <= AT_ONCE
    assert billed["worded"][1] <= found.tokens <= narrow.tokens
    assert billed["paid"][2] <= found.money <= narrow.money
    assert min(found.callers.refused.values()) > 0
    assert found.callers.closed <= count // 50
    assert found.tokens >= narrow.tokens - (MOST_INPUT + LONGEST)
    assert found.money >= narrow.money - (MOST_INPUT + 10 * LONGEST)
    if not kills and not leaving:
        assert billed["counted"][0] == narrow.requests


@pytest.fixture(params=["lmdb", "valkey"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a fresh store."""
    if request.param == "lmdb":
        return f"lmdb://{tmp_path}/counters"
    server = request.getfixturevalue("valkey")
    return f"valkey://{server.host}:{server.port}/0?prefix={uuid4().hex}:&timeout=2s"


async def test_nothing_passes_a_hard_limit_and_nothing_is_refused_without_need(
    tmp_path: Path, store: str
) -> None:
    await run(tmp_path, store, 200, leaving=0.0)


async def test_nothing_passes_a_hard_limit_when_callers_leave_and_workers_die(
    tmp_path: Path, store: str
) -> None:
    await run(tmp_path, store, 300, leaving=0.3, kills=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_nothing_of_20_000_requests_passes_a_hard_limit(tmp_path: Path, store: str) -> None:
    await run(tmp_path, store, 20_000, leaving=0.3, kills=10)
