"""Keys in a Postgres that two gateways of two workers each share: what one does, all four obey, whatever it does."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from click.testing import CliRunner
from tests.postgresserver import PASSWORD, PostgresServer

from llmproxy.testing import FakeUpstream, RawClient
from llmproxy_access.keycommand import keys

from .load import owner
from .process import GatewayProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

TOKEN = "the-admin-token-of-this-test"
ENVIRON = {
    "ADMIN_TOKEN": TOKEN,
    "PEPPER": "canary-pepper-0123456789abcdef-0123456789",
    "PGPASS": PASSWORD,
    "OWN": "the-key-of-the-configuration",
}
CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
upstreams: {{api: {{base_url: "{api}/v1", dialect: openai}}}}
plugins:
  access:
    keys: [{{name: own, tenant: shop, key: "${{env:OWN}}"}}]
    database: {{url: "{url}", pepper: "${{env:PEPPER}}", stale: {stale}}}
pipeline: [access]
routes: [{{name: all, match: {{path: /*}}, upstream: api}}]
"""
#: Seconds: far more than the one that a change takes, for a machine that does other things.
GENEROUS = 20.0
WORKERS = 2


class Fleet:
    """Gateways of one database, with one kept connection to each of their workers."""

    def __init__(self, gateways: list[GatewayProcess], file: Path) -> None:
        self.gateways = gateways
        self._file = file
        self._lines: list[RawClient] = []

    async def connect(self, held: AsyncExitStack) -> None:
        for gateway in self.gateways:
            lines: dict[int, RawClient] = {}
            while len(lines) < WORKERS:
                client = await held.enter_async_context(RawClient(gateway.url, timeout=GENEROUS))
                await self._ask(client, "none")
                worker = owner(urlsplit(gateway.url).port or 0, client.port, gateway.workers())
                assert worker is not None
                lines.setdefault(worker, client)
            self._lines.extend(lines.values())

    async def _ask(self, client: RawClient, key: str) -> int:
        head = f"GET /v1/things HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\n\r\n"
        return (await client.exchange(head.encode())).status

    async def statuses(self, key: str) -> list[int]:
        """How a key fares with each worker."""
        return [await self._ask(line, key) for line in self._lines]

    async def all_say(self, status: int, key: str) -> float:
        """Wait until every worker says so; return the seconds."""
        began = time.monotonic()
        while set(found := await self.statuses(key)) != {status}:
            assert time.monotonic() - began < GENEROUS, found
            await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def admin(self, number: int, method: str, path: str, order: object = None) -> Any:
        """Ask the admin listener of one gateway."""
        data = b"" if order is None else orjson.dumps(order)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        async with RawClient(self.gateways[number].admin_url, timeout=GENEROUS) as client:
            return await client.exchange(head.encode() + data)

    async def metric(self, number: int, line: str) -> bool:
        """Say whether a gateway's metrics hold a line."""
        return line in (await self.admin(number, "GET", "/metrics")).body.decode().splitlines()

    async def command(self, *arguments: str) -> Any:
        """Run `llmproxy keys`, as on a third machine."""
        run = [*arguments, "-c", str(self._file), "--json"]
        done = await asyncio.to_thread(CliRunner().invoke, keys, run, env=ENVIRON)
        assert done.exit_code == 0, done.output
        return orjson.loads(done.output)


@asynccontextmanager
async def sharing(postgres: PostgresServer, folder: Path, gateways: int, stale: str) -> AsyncIterator[Fleet]:
    file = folder / "gateway.yaml"
    async with FakeUpstream().reply(json={}) as api, AsyncExitStack() as held:
        url = postgres.url(password="${env:PGPASS}")
        file.write_text(CONFIG.format(api=api.url, url=url, stale=stale))
        started = [
            held.enter_context(GatewayProcess("-c", file, "--workers", str(WORKERS), environ=ENVIRON))
            for _ in range(gateways)
        ]
        fleet = Fleet(started, file)
        await fleet.connect(held)
        yield fleet
    text = "".join(each.text for each in started)
    assert PASSWORD not in text
    assert "canary" not in text


async def test_what_one_gateway_does_all_workers_of_all_gateways_obey(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    async with sharing(own_postgres, tmp_path, 2, "10m") as fleet:
        made = (await fleet.admin(0, "POST", "/access/keys", {"name": "web", "tenant": "shop"})).json()
        accepted = await fleet.all_say(200, made["key"])
        other = (await fleet.command("create", "batch", "--tenant", "shop"))["key"]
        await fleet.all_say(200, other)
        await fleet.admin(1, "POST", "/access/keys/web/revoke")
        refused = await fleet.all_say(401, made["key"])

        own_postgres.kill()
        for number, gateway in enumerate(fleet.gateways):
            await gateway.said("postgres_away", WORKERS)
            assert await fleet.metric(number, 'llmproxy_postgres_away{plugin="access"} 1')
        away = [await fleet.statuses(key) for key in (other, ENVIRON["OWN"], made["key"], "llmp-unknown")]
        unmade = await fleet.admin(0, "POST", "/access/keys", {"name": "new", "tenant": "shop"})

        own_postgres.start()
        await fleet.command("revoke", "batch")
        recovered = await fleet.all_say(401, other)
        for number, gateway in enumerate(fleet.gateways):
            await gateway.said("postgres_back", WORKERS)
            assert await fleet.metric(number, 'llmproxy_postgres_away{plugin="access"} 0')

    print(f"accepted {accepted:.3f} s, refused {refused:.3f} s, after the kill {recovered:.3f} s")
    assert away == [[200] * 4, [200] * 4, [401] * 4, [401] * 4]
    assert (unmade.status, unmade.json()["code"]) == (503, "database_away")
    assert [each.count("postgres_away") for each in fleet.gateways] == [WORKERS] * 2


@pytest.mark.slow
async def test_a_database_that_is_away_for_too_long_closes_its_keys_alone(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    async with sharing(own_postgres, tmp_path, 1, "1s") as fleet:
        key = (await fleet.admin(0, "POST", "/access/keys", {"name": "web", "tenant": "shop"})).json()["key"]
        await fleet.all_say(200, key)
        own_postgres.hang()
        try:
            await fleet.all_say(503, key)
            own = await fleet.statuses(ENVIRON["OWN"])
        finally:
            own_postgres.resume()
        await fleet.all_say(200, key)

    assert own == [200] * WORKERS
