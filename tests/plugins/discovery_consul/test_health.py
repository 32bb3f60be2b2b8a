import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.plugins.registries import FakeConsul, addresses

from llmproxy.plugin import BadRegistry, RegistryAway, Secret
from llmproxy.tasks import spawn
from llmproxy_discovery_consul.config import ConsulConfig
from llmproxy_discovery_consul.health import PassingInstances


@pytest.fixture
async def consul() -> AsyncIterator[FakeConsul]:
    async with FakeConsul() as consul:
        yield consul


@pytest.fixture
async def source(consul: FakeConsul) -> AsyncIterator[PassingInstances]:
    source = make(consul)
    yield source
    await source.close()


def make(consul: FakeConsul, **fields: Any) -> PassingInstances:
    return PassingInstances(ConsulConfig(service="backend", address=consul.url, **fields))


async def test_the_first_look_answers_at_once_and_the_next_when_there_is_news(
    consul: FakeConsul, source: PassingInstances
) -> None:
    consul.put([80])
    first = await addresses(source)
    waiting = spawn(addresses(source), name="waiting")
    while len(consul.asked) < 2:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    waited = not waiting.done()
    consul.put([80, 81])

    assert first == ["127.0.0.1:80"]
    assert waited
    assert await waiting == ["127.0.0.1:80", "127.0.0.1:81"]
    assert "index=2&wait=55s" in consul.asked[1]


async def test_an_index_that_went_back_is_not_waited_for(
    consul: FakeConsul, source: PassingInstances
) -> None:
    consul.put([80])
    await addresses(source)
    consul.index = 1
    await addresses(source)
    await addresses(source)

    assert "index" not in consul.asked[2]


async def test_after_a_failure_it_asks_at_once_again(consul: FakeConsul, source: PassingInstances) -> None:
    consul.put([80])
    await addresses(source)
    consul.broken = 500
    with pytest.raises(RegistryAway, match="answers 500"):
        await source.look()
    consul.broken = 0

    assert await addresses(source) == ["127.0.0.1:80"]
    assert "index" not in consul.asked[-1]


async def test_nonsense_is_told_from_silence(consul: FakeConsul, source: PassingInstances) -> None:
    consul.nonsense = b"<html>"

    with pytest.raises(BadRegistry, match="not JSON"):
        await source.look()


async def test_the_token_and_all_conditions_are_sent(consul: FakeConsul) -> None:
    token = Secret("the-token", "${env:TOKEN}")
    source = make(
        consul, token=token, datacenter="dc2", tags=("a", "b"), filter="x == 1", consistency="stale"
    )
    await addresses(source)
    await source.close()

    assert consul.headers[0]["X-Consul-Token"] == "the-token"
    assert consul.asked[0].endswith("?passing=1&tag=a&tag=b&dc=dc2&filter=x+%3D%3D+1&stale")
