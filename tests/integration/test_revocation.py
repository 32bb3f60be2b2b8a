"""A key that is revoked stops working on all workers, busy ones and those that were stopped meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest

from llmproxy.testing import FakeUpstream, RawClient

from .load import owner
from .process import GatewayProcess, clean_environ

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

TOKEN = "the-admin-token-of-this-test"
ENVIRON = {"ADMIN_TOKEN": TOKEN, "PEPPER": "pepper-0123456789abcdef-0123456789"}
CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
upstreams: {{api: {{base_url: "{url}/v1", dialect: openai}}}}
plugins: {{access: {{database: {{path: "{path}", pepper: "${{env:PEPPER}}"}}}}}}
pipeline: [access]
routes: [{{name: all, match: {{path: /*}}, upstream: api}}]
"""
#: Seconds: far more than the one that a change takes, for a machine that does other things.
GENEROUS = 10.0
WORKERS = 4


class Site:
    """A gateway, with one kept connection to each of its workers."""

    def __init__(self, gateway: GatewayProcess, file: Path) -> None:
        self.gateway = gateway
        self._file = file
        self.lines: dict[int, RawClient] = {}

    async def connect(self, held: AsyncExitStack) -> None:
        """Connect until each worker has taken a connection."""
        workers = self.gateway.workers()
        while len(self.lines) < WORKERS:
            client = await held.enter_async_context(RawClient(self.gateway.url, timeout=GENEROUS))
            await self.ask(client, "none")
            ports = urlsplit(self.gateway.url).port or 0, client.port
            worker = owner(*ports, workers)
            assert worker is not None
            self.lines.setdefault(worker, client)

    async def ask(self, client: RawClient, key: str) -> int:
        head = f"GET /v1/things HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\n\r\n"
        return (await client.exchange(head.encode())).status

    async def change(self, path: str, order: dict[str, str]) -> dict[str, str]:
        """Order a change of the admin listener, of whichever worker answers."""
        data = orjson.dumps(order)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        async with RawClient(self.gateway.admin_url, timeout=GENEROUS) as client:
            told: dict[str, str] = (await client.exchange(head.encode() + data)).json()
        return told

    async def revoke_here(self, key: str) -> None:
        """Revoke a key in the database, and tell no worker."""
        run = [sys.executable, "-m", "llmproxy", "keys", "revoke", key, "-c", str(self._file)]
        environ = {**clean_environ(), **ENVIRON}
        await asyncio.to_thread(subprocess.run, run, env=environ, check=True, capture_output=True)

    async def refused_after(self, worker: int, key: str) -> float:
        """Return the seconds until a worker has refused a key."""
        began = time.monotonic()
        while await self.ask(self.lines[worker], key) != 401:
            assert time.monotonic() - began < GENEROUS
            await asyncio.sleep(0.01)
        return time.monotonic() - began


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Site]:
    file = folder / "gateway.yaml"
    async with FakeUpstream().reply(json={}) as api, AsyncExitStack() as held:
        file.write_text(CONFIG.format(url=api.url, path=folder / "access.db"))
        with GatewayProcess("-c", file, "--workers", str(WORKERS), environ=ENVIRON) as gateway:
            site = Site(gateway, file)
            await site.connect(held)
            yield site


@pytest.mark.slow
async def test_a_revoked_key_stops_working_on_every_busy_worker(tmp_path: Path) -> None:
    async with serving(tmp_path) as site, AsyncExitStack() as held:
        key, other = [
            (await site.change("/access/keys", {"name": name, "tenant": "shop"}))["key"] for name in "ab"
        ]
        for worker in site.lines:
            while await site.ask(site.lines[worker], key) != 200:
                await asyncio.sleep(0.01)
        stopped = asyncio.Event()

        async def keep_busy() -> None:
            client = await held.enter_async_context(RawClient(site.gateway.url, timeout=GENEROUS))
            while not stopped.is_set():
                assert await site.ask(client, other) == 200

        async with asyncio.TaskGroup() as group:
            for _ in range(16):
                group.create_task(keep_busy())
            await site.change("/access/keys/a/revoke", {})
            took = [await site.refused_after(worker, key) for worker in site.lines]
            stopped.set()

    print(f"refused after {[round(seconds, 3) for seconds in took]} s")
    assert sum(took) < GENEROUS


async def test_a_worker_that_was_stopped_lets_nobody_in_by_what_it_knew(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        key = (await site.change("/access/keys", {"name": "a", "tenant": "shop"}))["key"]
        for worker in site.lines:
            while await site.ask(site.lines[worker], key) != 200:
                await asyncio.sleep(0.01)
        deaf, *rest = site.lines
        os.kill(deaf, signal.SIGSTOP)
        try:
            await site.revoke_here("a")
            took = [await site.refused_after(worker, key) for worker in rest]
            await asyncio.sleep(1.1)
            waiting = asyncio.ensure_future(site.ask(site.lines[deaf], key))
            await asyncio.sleep(0.1)
        finally:
            os.kill(deaf, signal.SIGCONT)
        first = await waiting

    print(f"refused after {[round(seconds, 3) for seconds in took]} s")
    assert sum(took) < GENEROUS
    assert first == 401
