"""Health in a gateway that runs: told, kept, asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llmproxy.testing import FakeUpstream, RawClient
from llmproxy.testing.gateways import RunningGateway, running_gateway

TOKEN = "the-admin-token-of-this-test"
ASK = b"GET /x HTTP/1.1\r\nHost: gateway\r\n\r\n"


def config(a: FakeUpstream, b: FakeUpstream, **health: Any) -> dict[str, Any]:
    upstreams = {"a": a, "b": b}
    return {
        "admin": {"listen": "127.0.0.1:0", "token": "${env:ADMIN_TOKEN}"},
        "upstreams": {
            name: {"base_url": each.url, "dialect": "http", "proxy": None} for name, each in upstreams.items()
        },
        "plugins": {"balance": {"use": "balance", "seed": 1, "health": {"failures": 2, **health}}},
        "pools": {"p": ["a", "b"]},
        "routes": [{"name": "r", "pool": "p"}],
    }


@asynccontextmanager
async def gateway(a: FakeUpstream, b: FakeUpstream, **health: Any) -> AsyncIterator[RunningGateway]:
    async with running_gateway(config(a, b, **health), environ={"ADMIN_TOKEN": TOKEN}) as running:
        yield running


async def ask(running: RunningGateway, times: int = 1) -> list[int]:
    async with RawClient(running.url) as client:
        return [(await client.exchange(ASK)).status for _ in range(times)]


async def get(running: RunningGateway, path: str) -> Any:
    async with RawClient(running.admin_url) as client:
        head = f"GET {path} HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        reply = await client.exchange(head.encode())
    assert reply.status == 200
    return reply


async def states(running: RunningGateway) -> dict[str, tuple[str, str]]:
    [pool] = (await get(running, "/balance")).json()["pools"]
    seen = {place["name"]: place["workers"]["0"] for place in pool["places"]}
    return {name: (each["state"], each["cause"]) for name, each in seen.items()}


@pytest.fixture
async def broken() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream().reply(500) as upstream:
        yield upstream


@pytest.fixture
async def well() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream().reply(200, body=b"ok") as upstream:
        yield upstream


async def test_a_broken_place_is_left_alone_and_no_caller_knows(
    broken: FakeUpstream, well: FakeUpstream
) -> None:
    async with gateway(broken, well) as running:
        assert await states(running) == {"a": ("closed", ""), "b": ("closed", "")}
        statuses = await ask(running, 10)

        assert statuses == [200] * 10
        assert len(broken.requests) == 2
        assert await states(running) == {"a": ("open", "failures"), "b": ("closed", "")}


async def test_the_overview_tells_what_a_worker_knows(broken: FakeUpstream, well: FakeUpstream) -> None:
    async with gateway(broken, well) as running:
        await ask(running, 3)
        overview = (await get(running, "/balance")).json()

    [pool] = overview["pools"]
    a, b = pool["places"]
    assert (pool["name"], a["upstream"], a["model"], a["weight"]) == ("p", "a", None, 1.0)
    seen = a["workers"]["0"]
    assert (seen["share"], seen["in_flight"], seen["latency"]) == (0.0, 0, None)
    assert 3.0 < seen["retry_in"] <= 5.0
    assert seen["since"].endswith("+00:00")
    assert b["workers"]["0"]["latency"] > 0


async def test_changes_are_counted_and_logged(broken: FakeUpstream, well: FakeUpstream) -> None:
    async with gateway(broken, well) as running:
        await ask(running, 3)
        metrics = (await get(running, "/metrics")).body.decode()
        lines = running.log

    assert 'llmproxy_health_state{upstream="a",model=""} 3' in metrics
    assert 'llmproxy_health_state{upstream="b",model=""} 0' in metrics
    changes = 'llmproxy_health_changes_total{upstream="a",model="",to="open",cause="failures"} 1'
    assert changes in metrics
    assert sum(b"place_opened" in line for line in lines) == 1


async def test_what_is_known_survives_a_reload(broken: FakeUpstream, well: FakeUpstream) -> None:
    async with gateway(broken, well) as running:
        await ask(running, 3)
        result = await running.reload(config(broken, well, failures=3))
        await ask(running, 5)

        assert result.ok
        assert len(broken.requests) == 2
        assert (await states(running))["a"] == ("open", "failures")


async def test_a_reload_that_fails_changes_nothing(broken: FakeUpstream, well: FakeUpstream) -> None:
    async with gateway(broken, well) as running:
        wrong = config(broken, well, failures=100)
        wrong["plugins"]["access"] = {"mode": "open"}
        wrong["routes"][0]["plugins"] = ["balance", {"access": {"unheard": 1}}]
        result = await running.reload(wrong)
        await ask(running, 5)

        assert not result.ok
        assert len(broken.requests) == 2
        metrics = (await get(running, "/metrics")).body
        assert b'llmproxy_health_changes_total{upstream="a",model="",to="open",cause="failures"} 1' in metrics


async def test_a_pool_that_a_reload_left_out_is_forgotten(broken: FakeUpstream, well: FakeUpstream) -> None:
    async with gateway(broken, well) as running:
        await ask(running, 3)
        other = config(broken, well)
        other["pools"] = {"q": ["b"]}
        other["routes"] = [{"name": "r", "pool": "q"}]
        assert (await running.reload(other)).ok
        await ask(running)

        [pool] = (await get(running, "/balance")).json()["pools"]
        assert [place["name"] for place in pool["places"]] == ["b"]


async def test_where_all_are_left_alone_callers_are_told_when_to_come_back(broken: FakeUpstream) -> None:
    async with gateway(broken, broken) as running:
        await ask(running, 3)
        async with RawClient(running.url) as client:
            reply = await client.exchange(ASK)

    assert reply.status == 503
    assert 0 < int(reply.header("retry-after") or "0") <= 5


async def test_probes_find_who_is_broken_before_any_caller_does(
    broken: FakeUpstream, well: FakeUpstream
) -> None:
    probe = {"path": "/health", "interval": "50ms", "unhealthy": 2}
    async with gateway(broken, well, probes={"a": probe, "b": probe}) as running:
        await broken.received(2)
        while (await states(running))["a"][0] == "closed":
            await asyncio.sleep(0.01)
        assert await states(running) == {"a": ("open", "probe"), "b": ("closed", "")}
        asked = [request.target for request in broken.requests]
        assert await ask(running, 3) == [200] * 3

    assert set(asked) == {"/health"}
    assert "/x" not in {request.target for request in broken.requests}


async def test_a_store_on_no_server_cannot_share_anything(broken: FakeUpstream, well: FakeUpstream) -> None:
    from llmproxy.errors import StartError

    tree = config(broken, well, share="near") | {"stores": {"near": "memory://"}}
    with pytest.raises(StartError, match="not on a Redis or Valkey server"):
        async with running_gateway(tree, environ={"ADMIN_TOKEN": TOKEN}):
            pass
