from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llmproxy.plugin import ChildRequest
from llmproxy.testing import (
    FakeUpstream,
    PluginContract,
    RawClient,
    make_exchange,
    run_route,
    running_gateway,
    running_route,
)
from llmproxy_ipfilter import IpFilterPlugin


class TestContract(PluginContract):
    plugin_class = IpFilterPlugin
    config: ClassVar[dict[str, Any]] = {"allow": ["127.0.0.0/8"], "deny": ["::/0"]}
    route: ClassVar[dict[str, Any]] = {"allow": ["127.0.0.1"], "deny": []}


@pytest.mark.parametrize(
    ("client", "route", "status"),
    [
        ("10.1.1.1", {}, 200),
        ("10.66.1.1", {}, 403),
        ("11.1.1.1", {}, 403),
        ("", {}, 403),
        ("11.1.1.1", {"allow": ["11.0.0.0/8"]}, 200),
        ("10.1.1.1", {"allow": ["11.0.0.0/8"]}, 403),
        ("10.66.1.1", {"deny": []}, 200),
    ],
)
async def test_who_may_not_ask_is_refused_before_anything_is_done(
    client: str, route: dict[str, Any], status: int
) -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        tables = {"ipfilter": {"use": IpFilterPlugin, "allow": ["10.0.0.0/8"], "deny": ["10.66.0.0/16"]}}
        served = await run_route(
            tables, make_exchange(client=client), upstream=upstream, options={"ipfilter": route}
        )

        assert served.reply.status == status
        assert len(upstream.requests) == (status == 200)
        assert client not in served.body.decode() or not client


def whole(upstream: FakeUpstream, filtering: dict[str, Any], **listener: Any) -> dict[str, Any]:
    return {
        "listen": [{"address": "127.0.0.1:0", **listener}],
        "upstreams": {"api": {"base_url": upstream.url, "dialect": "http"}},
        "plugins": {"ipfilter": {"use": IpFilterPlugin, **filtering}},
        "pipeline": ["ipfilter"],
        "routes": [{"name": "all", "upstream": "api"}],
    }


async def asked(url: str, forwarded: str = "8.8.8.8") -> int:
    async with RawClient(url) as client:
        request = f"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {forwarded}\r\n\r\n"
        return (await client.exchange(request.encode())).status


async def test_a_header_counts_from_a_trusted_proxy_alone() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        filtering = {"deny": ["8.8.8.8"]}
        async with running_gateway(whole(upstream, filtering)) as gateway:
            untrusted = await asked(gateway.url)
        async with running_gateway(whole(upstream, filtering, trusted_proxies=["127.0.0.1"])) as gateway:
            trusted = await asked(gateway.url)

        assert (untrusted, trusted) == (200, 403)


async def test_a_file_counts_as_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "denied"
    path.write_text("")
    async with (
        FakeUpstream().reply(json={}) as upstream,
        running_gateway(whole(upstream, {"deny_file": str(path)})) as gateway,
    ):
        assert await asked(gateway.url) == 200
        path.write_text("127.0.0.0/8")
        async with asyncio.timeout(10):
            while await asked(gateway.url) == 200:
                await asyncio.sleep(0.1)


async def test_what_the_gateway_asks_of_itself_has_no_address() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        tables = {"ipfilter": {"use": IpFilterPlugin, "allow": ["10.0.0.0/8"]}}
        async with running_route(tables, upstream=upstream) as serving:
            reply = await serving.generation.call(ChildRequest("GET", "/a"), None)

        assert reply.status == 200


async def test_what_the_gateway_asks_for_a_caller_without_an_address_is_that_callers() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        tables = {"ipfilter": {"use": IpFilterPlugin, "allow": ["10.0.0.0/8"]}}
        async with running_route(tables, upstream=upstream) as serving:
            asked = ChildRequest("GET", "/a")
            for client, listener, status in (
                ("", "unix:/s", 403),
                ("", "admin", 200),
                ("10.1.1.1", "x", 200),
            ):
                parent = make_exchange("GET", "/b", client=client)
                parent.request.listener = listener
                reply = await serving.generation.call(asked, parent)

                assert reply.status == status
