"""Who asks a gateway in other words, and purges; every question lies at one place for it, and its upstream echoes."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from llmproxy.testing import RawClient, RawReply, RunningGateway

STORED = "How do I reset my router?"
#: In one form with what is stored, and alike.
OTHERWISE = {"canonical": "hi, how do I reset my router? thanks", "semantic": "How can I reset my router?"}
ADMIN = "a-token-of-the-admin"
HEAD = b"POST %b HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"


class Asking:
    """A gateway, and who asks it."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway

    async def ask(self, text: str, *, path: str = "/v1/chat/completions", **more: Any) -> RawReply:
        headers = b"".join(b"%b: %b\r\n" % pair for pair in more.pop("headers", ()))
        turns = [{"role": "user", "content": text}]
        body = orjson.dumps({"model": "demo/echo", "temperature": 0, "messages": turns, **more})
        async with RawClient(self._gateway.url, timeout=10.0) as client:
            reply = await client.exchange(HEAD % (path.encode(), headers, len(body), body))
        assert reply.status == 200, reply.body
        await self._settle()
        return reply

    async def purge(self, **what: Any) -> None:
        body = orjson.dumps(what)
        token = b"Authorization: Bearer %b\r\n" % ADMIN.encode()
        async with RawClient(self._gateway.admin_url, timeout=10.0) as client:
            reply = await client.exchange(HEAD % (b"/cache/purge", token, len(body), body))
        assert reply.status == 200, reply.body

    async def _settle(self) -> None:
        """Wait until what was asked is kept and found."""
        names = ("flight-keep", "cache-store", "semantic:embed", "semantic:keep-row", "semantic:forget-row")
        while work := [task for task in asyncio.all_tasks() if task.get_name() in names]:
            await asyncio.wait(work)
        await asyncio.sleep(0)


def tier(reply: RawReply) -> str:
    status = reply.header("cache-status") or ""
    return status.partition('detail="')[2].partition('"')[0] if "; hit" in status else ""
