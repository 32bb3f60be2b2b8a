"""A gateway whose pool is discovered, for the tests of all discovery plugins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from llmproxy.testing import FakeUpstream, RawClient, RunningGateway, running_gateway


class Discovering:
    """A gateway that serves, and what it logged."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.url = gateway.url

    async def logged(self, word: str, times: int = 1) -> None:
        """Wait until it has logged something that often."""
        async with asyncio.timeout(5):
            while sum(word.encode() in line for line in self.gateway.log) < times:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving_members(use: str, config: Mapping[str, Any]) -> AsyncIterator[Discovering]:
    """Serve all that a plugin lists as one plain HTTP API."""
    tree = {
        "log": {"level": "info", "format": "json"},
        "upstreams": {"backend": {"base_url": "http://backend.test", "dialect": "http"}},
        "plugins": {"backends": {"use": use, **config}},
        "routes": [
            {
                "name": "all",
                "match": {"path": "/*"},
                "targets": [{"upstream": "backend", "members": "backends"}],
            }
        ],
    }
    async with running_gateway(tree) as gateway:
        yield Discovering(gateway)


async def asked_of(gateway: Discovering) -> bytes:
    """Ask once, and return who answered."""
    async with RawClient(gateway.url) as client:
        reply = await client.exchange(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert reply.status == 200, reply.body
    return bytes(reply.body)


class Registry(Protocol):
    """A registry whose list the test changes."""

    def put(self, ports: list[int]) -> None:
        """List what listens on these ports of loopback, and nobody else."""


async def check_listed_and_left(use: str, config: Mapping[str, Any], registry: Registry) -> None:
    """Check that who is listed is asked, and is asked no more when it has left."""
    async with FakeUpstream().reply(body=b"first") as first, FakeUpstream().reply(body=b"second") as second:
        registry.put([first.port])
        async with serving_members(use, config) as gateway:
            before = await asked_of(gateway)
            registry.put([second.port])
            await gateway.logged("members_changed", 2)

            assert before == b"first"
            assert await asked_of(gateway) == b"second"
