"""The example of an API gateway, as it stands, before two services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from llmproxy.testing import FakeUpstream, RawClient, RawReply, running_gateway

EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "api-gateway.yaml"
KEY = "example-0123456789abcdef"


class Stage:
    """The example's gateway, its new service and its old one."""

    def __init__(self, client: RawClient, new: FakeUpstream, old: FakeUpstream) -> None:
        self.client, self.new, self.old = client, new, old

    async def ask(self, target: str, body: bytes = b"", **headers: str) -> RawReply:
        fields = {"Host": "h", "Authorization": f"Bearer {KEY}", **headers}
        if body:
            fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        method = "POST" if body else "GET"
        return await self.client.exchange(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body)


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    powered = [("X-Powered-By", "x")]
    new, old = (
        FakeUpstream().reply(json={"version": 2}, headers=powered),
        FakeUpstream().reply(json={"version": 1}),
    )
    async with new, old:
        text = EXAMPLE.read_text().replace("127.0.0.1:8080", "127.0.0.1:0")
        text = text.replace("http://127.0.0.1:9001", new.url).replace("http://127.0.0.1:9002", old.url)
        async with (
            running_gateway(text, environ={"SHOP_KEY": KEY}) as gateway,
            RawClient(gateway.url) as client,
        ):
            yield Stage(client, new, old)


@pytest.mark.parametrize(
    ("target", "headers", "version", "sent"),
    [
        ("/v2/orders/7?a=1", {"X_Internal_Role": "admin"}, 2, "/api/orders/7?a=1"),
        ("/orders/7", {"X_Api_Version": "2"}, 2, "/api/orders/7"),
        ("/orders/7", {"Accept": "application/vnd.shop.v2+json"}, 2, "/api/orders/7"),
        ("/orders/7", {"X_Api_Version": "1"}, 1, "/orders/7"),
        ("/orders/7", {}, 1, "/orders/7"),
    ],
)
async def test_a_version_is_chosen_by_path_header_or_type(
    target: str, headers: dict[str, str], version: int, sent: str
) -> None:
    async with staged() as stage:
        reply = await stage.ask(target, **headers)
        [request] = [*stage.new.requests, *stage.old.requests]

        assert (reply.status, reply.json()["version"], request.target) == (200, version, sent)
        assert request.header("x-internal-role") is None
        assert (reply.header("deprecation") is None) is (version == 2)
        assert target.startswith("/v2") or "Accept-Encoding" in (reply.header("vary") or "")


async def test_the_old_version_says_when_it_ends() -> None:
    async with staged() as stage:
        reply = await stage.ask("/orders/7", Origin="https://shop.example.com")

        assert reply.header("deprecation") == "@1782864000"
        assert reply.header("sunset") == "Thu, 01 Jul 2027 00:00:00 GMT"
        assert [value for name, value in reply.headers if name == "Link"] == [
            '<https://shop.example.com/docs/v2>; rel="deprecation"',
            '</v2>; rel="successor-version"',
        ]
        assert reply.header("access-control-expose-headers") == "Deprecation, Sunset"
        assert {"origin", "accept", "x-api-version"} <= vary_of(reply)


def vary_of(reply: RawReply) -> set[str]:
    told = ",".join(value for name, value in reply.headers if name.lower() == "vary")
    return {name.strip().lower() for name in told.split(",")}


async def test_an_order_is_checked_then_completed() -> None:
    async with staged() as stage:
        good = await stage.ask("/orders", orjson.dumps({"item": "AB1234", "count": 2}))
        bad = await stage.ask("/orders", orjson.dumps({"item": "x", "count": 0, "tenant": "other"}))

        assert (good.status, bad.status) == (200, 400)
        assert [request.json() for request in stage.new.requests] == [
            {"item": "AB1234", "count": 2, "currency": "EUR", "tenant": "shop"}
        ]
        assert sorted(fault["pointer"] for fault in bad.json()["errors"]) == ["#", "#/count", "#/item"]


async def test_no_way_leads_around_the_key() -> None:
    async with staged() as stage:
        statuses = [
            (await stage.ask(target, Authorization="Bearer wrong-0123456789")).status
            for target in (
                "/v2/orders/7",
                "/orders/7",
                "/v2/../orders/7",
                "/v2/%2e%2e/api",
                "/v2//evil.example",
            )
        ]

        assert set(statuses) <= {400, 401}
        assert [*stage.new.requests, *stage.old.requests] == []
