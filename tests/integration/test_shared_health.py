"""What one worker finds out of a place, the others hear, as a hint; the overview tells what each of them sees."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from llmproxy.testing import FakeUpstream, RawClient

from .process import GatewayProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

HEARD = [("half_open", "rumour"), ("open", "failures")]
TOKEN = "the-admin-token-of-this-test"
CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
upstreams:
  a: {{base_url: "{a}", dialect: http}}
  b: {{base_url: "{b}", dialect: http}}
pools: {{p: [a, b]}}
plugins: {{balance: {{health: {{failures: 2, rest: 30s}}}}}}
routes: [{{name: r, pool: p}}]
"""


async def states(gateway: GatewayProcess) -> dict[str, tuple[str, str]]:
    """Return what each worker sees of the first place."""
    head = f"GET /balance HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    async with RawClient(gateway.admin_url) as client:
        told: Any = (await client.exchange(head.encode())).json()
    seen = told["pools"][0]["places"][0]["workers"]
    return {slot: (each["state"], each["cause"]) for slot, each in seen.items()}


async def test_the_other_worker_hears_that_a_place_has_opened(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    async with FakeUpstream().reply(500) as a, FakeUpstream().reply(200) as b:
        file.write_text(CONFIG.format(a=a.url, b=b.url))
        with GatewayProcess("-c", file, "--workers", "2", environ={"ADMIN_TOKEN": TOKEN}) as gateway:
            async with asyncio.timeout(20.0):
                while len(await states(gateway)) < 2:
                    await asyncio.sleep(0.02)
            async with RawClient(gateway.url) as client:
                request = b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"
                statuses = [(await client.exchange(request)).status for _ in range(3)]
            async with asyncio.timeout(20.0):
                while sorted(found := [*(await states(gateway)).values()]) != HEARD:
                    await asyncio.sleep(0.02)

    assert statuses == [200, 200, 200]
    assert sorted(found) == HEARD
    assert len(a.requests) == 2
