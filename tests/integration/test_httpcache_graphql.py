"""Random GraphQL callers at once: nobody reads an entity older than an answered mutation, nor what another asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import orjson
import pytest

from llmproxy.plugin import Caller
from llmproxy.testing import make_exchange, running_route
from llmproxy.testing.exchanges import Serving
from llmproxy_httpcache import HttpCachePlugin

TENANTS, NUMBERS = ("one", "two"), (1, 2, 3, 4)


class Origin:
    """Tells of each entity its version, and who asked; a mutation makes a new version."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.versions: Counter[int] = Counter()
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                body = orjson.loads(await reader.readexactly(int(fields["content-length"])))
                await self._answer(body, fields["x-tenant"], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, asked: dict[str, object], tenant: str, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        numbers: list[int] = asked["variables"]["ids"]  # type: ignore[index]
        if "mutation" in str(asked["query"]):
            for number in numbers:
                self.versions[number] += 1
        told = [
            {"__typename": "Thing", "id": str(number), "version": self.versions[number], "tenant": tenant}
            for number in numbers
        ]
        await asyncio.sleep(self.random.choice([0, 0.001, 0.003]))
        answer = orjson.dumps({"data": {"things": told}})
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
        )
        writer.write(answer[:7])
        await asyncio.sleep(self.random.choice([0, 0.001]))
        writer.write(answer[7:])


class Walk:
    """One walk of random steps, several at a time."""

    def __init__(self, serving: Serving, origin: Origin, random: Random) -> None:
        self.serving = serving
        self.origin = origin
        self.random = random
        self.hits = 0
        self.answered: Counter[int] = Counter()

    async def step(self) -> None:
        numbers = self.random.sample(NUMBERS, self.random.choice([1, 1, 2]))
        tenant = self.random.choice(TENANTS)
        if self.random.random() < 0.15:
            told = await self._ask(
                tenant, "mutation M($ids: [ID!]) { change(ids: $ids) { id __typename } }", numbers
            )
            for thing in told:
                number = int(thing["id"])
                self.answered[number] = max(self.answered[number], thing["version"])
            return
        floors = {number: self.answered[number] for number in numbers}
        space = self.random.choice([" ", "\n", ", "])
        query = "query Q($ids: [ID!]) { things(ids: $ids) { id __typename } }".replace(" ", space)
        told = await self._ask(tenant, query, numbers)

        assert [int(thing["id"]) for thing in told] == numbers
        assert all(thing["tenant"] == tenant for thing in told)
        assert all(thing["version"] >= floors[int(thing["id"])] for thing in told)

    async def _ask(self, tenant: str, query: str, numbers: list[int]) -> list[dict[str, object]]:
        body = orjson.dumps({"query": query, "variables": {"ids": numbers}})
        headers = {"X-Tenant": tenant, "Content-Type": "application/json"}
        served = await self.serving.serve(
            make_exchange("POST", "/graphql", headers=headers, caller=Caller(tenant), body=body)
        )
        self.hits += "; hit" in (served.reply.headers.get("cache-status") or "")
        told: list[dict[str, object]] = orjson.loads(served.body)["data"]["things"]
        return told


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
async def test_nobody_reads_what_an_answered_mutation_has_changed(seed: int) -> None:
    random = Random(seed)
    origin = Origin(random)
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    async with (
        server,
        running_route(
            {"httpcache": {"use": HttpCachePlugin, "store": "answers"}},
            upstream=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            options={"httpcache": {"profile": "semi-static", "graphql": True}},
            config={"stores": {"answers": {"url": "memory://"}}},
        ) as serving,
    ):
        walk = Walk(serving, origin, random)
        for _ in range(60 if seed == 1 else 300):
            async with asyncio.TaskGroup() as group:
                for _ in range(8):
                    _ = group.create_task(walk.step())

    assert walk.hits > 50
    assert origin.asked > 100
