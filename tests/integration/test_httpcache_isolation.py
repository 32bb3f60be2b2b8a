"""Random callers, variants, writes and purges at once: nobody gets another's bytes, nor older ones than were written."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from random import Random

import orjson
import pytest

from llmproxy.caches import Purge, PurgeOrder
from llmproxy.plugin import Caller, Clock
from llmproxy.testing import make_exchange, make_process, running_route
from llmproxy.testing.exchanges import Serving
from llmproxy_httpcache import HttpCachePlugin

TENANTS, PATHS, LANGUAGES = ("one", "two"), ("/a", "/b", "/c"), ("de", "en", "de, en;q=0.5")


class Hands(Clock):
    """A clock whose wall time is put forward by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


class Origin:
    """Tells each answer's tenant, path, language and version; a write makes a new version."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.versions: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                await self._answer(head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        method, path, _ = head.split(" ", 2)
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        fields = {name.lower(): value for name, value in fields.items()}
        place = (fields["x-tenant"], path)
        if method == "PUT":
            self.versions[place] += 1
            writer.write(b"HTTP/1.1 204 Done\r\n\r\n")
            return
        version = self.versions[place]
        etag = f'"{place[0]}{path}-{fields["accept-language"]}-{version}"'
        control = self.random.choice(
            ["max-age=60", "max-age=0", "no-cache", "max-age=60, must-revalidate", "no-store"]
        )
        shared = (
            f"Cache-Control: {control}\r\nETag: {etag}\r\nVary: Accept-Language\r\nCache-Tag: t{path}\r\n"
        )
        if etag in fields.get("if-none-match", ""):
            writer.write(f"HTTP/1.1 304 Same\r\n{shared}\r\n".encode())
            return
        told = orjson.dumps([*place, fields["accept-language"], version])
        head_bytes = f"HTTP/1.1 200 OK\r\n{shared}Content-Length: {len(told)}\r\n\r\n".encode()
        writer.write(head_bytes + told[:5])
        await asyncio.sleep(self.random.choice([0, 0.001]))
        writer.write(told[5:])


class Walk:
    """One walk of random steps, several at a time."""

    def __init__(self, serving: Serving, origin: Origin, clock: Hands, random: Random) -> None:
        self.serving = serving
        self.origin = origin
        self.clock = clock
        self.random = random
        self.hits = 0
        self._writing: defaultdict[tuple[str, str], int] = defaultdict(int)

    async def step(self) -> None:
        act = self.random.random()
        tenant, path = self.random.choice(TENANTS), self.random.choice(PATHS)
        if act < 0.8:
            await self._read(tenant, path)
        elif act < 0.9:
            await self._send(tenant, path, "PUT")
        elif act < 0.95:
            purge = self.random.choice(
                [Purge("all"), Purge("tag", (f"t{path}",), tenant), Purge("url", (path,), None, True)]
            )
            await self.serving.generation.process.spaces.purge(PurgeOrder((purge,)))
        else:
            self.clock.ahead += self.random.choice([1, 70])

    async def _read(self, tenant: str, path: str) -> None:
        language = self.random.choice(LANGUAGES)
        written = self.origin.versions[tenant, path] - self._writing[tenant, path]
        served = await self._send(tenant, path, "GET", **{"Accept-Language": language})
        told = orjson.loads(served.body)

        assert served.reply.status == 200
        assert told[:3] == [tenant, path, language]
        assert told[3] >= written
        self.hits += "; hit" in (served.reply.headers.get("cache-status") or "")

    async def _send(self, tenant: str, path: str, method: str, **headers: str):  # type: ignore[no-untyped-def]
        exchange = make_exchange(method, path, headers={"X-Tenant": tenant, **headers}, caller=Caller(tenant))
        if method != "PUT":
            return await self.serving.serve(exchange)
        # Until a write was answered, what was there before may still be served.
        self._writing[tenant, path] += 1
        try:
            return await self.serving.serve(exchange)
        finally:
            self._writing[tenant, path] -= 1


SEEDS = [pytest.param(1), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("store", ["memory://", "lmdb"])
async def test_nobody_gets_anothers_bytes_nor_older_ones_than_were_written(
    store: str, seed: int, tmp_path: object
) -> None:
    random = Random(seed)
    origin, clock = Origin(random), Hands()
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = {"stores": {"answers": {"url": f"lmdb://{tmp_path}/db" if store == "lmdb" else store}}}
    async with (
        server,
        running_route(
            {"httpcache": {"use": HttpCachePlugin, "store": "answers"}},
            upstream=url,
            options={"httpcache": {"profile": "rfc9111"}},
            config=config,
            process=make_process(clock),
        ) as serving,
    ):
        walk = Walk(serving, origin, clock, random)
        for _ in range(60 if seed == 1 else 300):
            async with asyncio.TaskGroup() as group:
                for _ in range(8):
                    _ = group.create_task(walk.step())

    assert walk.hits > 20
    assert origin.asked > 100
