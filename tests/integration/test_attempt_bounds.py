"""Where every upstream fails, a request makes no more calls than it may, and takes no more time than it has."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmproxy.testing import FakeUpstream, running_gateway

#: Seconds by which a deadline may be missed.
LATE = 0.05
#: Faults by name; each answers the same way for ever.
FAULTS = {
    "refused": None,
    "reset": lambda: FakeUpstream().reply(json={}, then="reset", after=0),
    "reset in the head": lambda: FakeUpstream().reply(json={}, then="reset", after=12),
    "stall": lambda: FakeUpstream().stall(),
    "stall in the head": lambda: FakeUpstream().reply(json={}, then="stall", after=12),
    "stall in an error": lambda: FakeUpstream().reply(500, json={"error": "no"}, then="stall", after=90),
    "server": lambda: FakeUpstream().reply(500, json={"error": {"message": "no"}}),
    "overloaded": lambda: FakeUpstream().reply(503, json={}, headers=[("Retry-After", "1")]),
    "rate limit": lambda: FakeUpstream().reply(429, json={}, headers=[("retry-after-ms", "30")]),
    "long wait": lambda: FakeUpstream().reply(429, json={}, headers=[("Retry-After", "3600")]),
    "quota": lambda: FakeUpstream().reply(429, json={"error": {"code": "insufficient_quota"}}),
    "key": lambda: FakeUpstream().reply(401, json={}),
    "no http": lambda: FakeUpstream().reply(body=b"", headers=[("Broken", "\x00")]),
    "stream of nothing": lambda: FakeUpstream().stream([]),
    "stream that stalls": lambda: FakeUpstream().stream([b": hello\n\n"], then="stall"),
}


class Lag:
    """How much later than it should this process did something, at worst: other programs keep the machine busy."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._worst = 0.0
        self._due = 0.0
        self._tick()

    def _tick(self) -> None:
        now = self._loop.time()
        self._worst = max(self._worst, now - self._due if self._due else 0.0)
        self._due = now + 0.005
        self._timer = self._loop.call_at(self._due, self._tick)

    def stop(self) -> float:
        """Stop looking; return the seconds."""
        self._timer.cancel()
        return self._worst


@dataclass(frozen=True)
class Case:
    """A pool of pools, what is wrong with each place, and what a request may spend."""

    pools: list[list[str]]
    attempts: int
    deadline: float
    stream: bool
    retries: int
    strategy: str


cases = st.builds(
    Case,
    pools=st.lists(st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=3), min_size=1, max_size=3),
    attempts=st.integers(1, 5),
    deadline=st.sampled_from([0.1, 0.2, 0.35, 0.5]),
    stream=st.booleans(),
    retries=st.integers(0, 2),
    strategy=st.sampled_from(["ordered", "weighted", "round_robin", "p2c", "least_in_flight"]),
)


def tree_of(case: Case, urls: dict[str, str]) -> dict[str, Any]:
    """Return the configuration that the case is."""
    upstreams: dict[str, Any] = {}
    pools: dict[str, Any] = {}
    for number, faults in enumerate(case.pools):
        names = []
        for place, fault in enumerate(faults):
            names.append(f"u{number}{place}")
            upstreams[names[-1]] = {"dialect": "openai", "base_url": f"{urls[fault]}/v1", "proxy": None}
        pools[f"p{number}"] = {"strategy": case.strategy, "targets": names}
    pools["all"] = {"strategy": "ordered", "targets": [{"pool": name} for name in pools]}
    return {
        "upstreams": upstreams,
        "pools": pools,
        "plugins": {"balance": {"backoff": "10ms", "retries": case.retries, "health": {"failures": 4}}},
        "routes": [
            {"name": "all", "pool": "all", "attempts": case.attempts, "deadline": f"{case.deadline}s"}
        ],
    }


async def spent(case: Case) -> tuple[list[int], list[float], list[int]]:
    """Ask twice; return the calls, the seconds and the statuses."""
    async with AsyncExitStack() as stack:
        upstreams, urls = [], {}
        for name in {fault for pool in case.pools for fault in pool}:
            make = FAULTS[name]
            if make is None:
                urls[name] = "http://127.0.0.1:9"
            else:
                upstreams.append(await stack.enter_async_context(make()))
                urls[name] = upstreams[-1].url
        gateway = await stack.enter_async_context(running_gateway(tree_of(case, urls)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        body = orjson.dumps({"model": "m", "stream": case.stream, "messages": []})

        async def ask() -> tuple[float, int]:
            began, lag = time.monotonic(), Lag()
            url, headers = f"{gateway.url}/v1/chat/completions", {"content-type": "application/json"}
            async with session.post(url, data=body, headers=headers) as reply:
                status = reply.status
                try:
                    await reply.read()
                except aiohttp.ClientError:
                    status = 0
            return time.monotonic() - began - lag.stop(), status

        seconds, statuses, calls = [], [], []
        for _ in range(2):
            before = sum(len(upstream.requests) for upstream in upstreams)
            took, status = await ask()
            seconds.append(took)
            statuses.append(status)
            calls.append(sum(len(upstream.requests) for upstream in upstreams) - before)
        return calls, seconds, statuses


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases)
def test_a_request_spends_no_more_than_its_budget_and_its_deadline(case: Case) -> None:
    calls, seconds, statuses = asyncio.run(spent(case))

    assert max(calls) <= case.attempts
    assert max(seconds) <= case.deadline + LATE
    assert all(status == 0 or status >= 400 for status in statuses)
