from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from llmproxy.plugin import StartError
from llmproxy.testing import FakeUpstream, PluginContract, RawClient, RawReply, running_gateway
from llmproxy_cors import CorsPlugin

APP = "https://app.example"
KEY = "canary-0123456789abcdef"
PREFLIGHT = {"Origin": APP, "Access-Control-Request-Method": "POST"}


class TestContract(PluginContract):
    plugin_class = CorsPlugin
    config: ClassVar[dict[str, Any]] = {"origins": [APP]}
    route: ClassVar[dict[str, Any]] = {"origins": ["https://other.example"], "credentials": True}
    headers: ClassVar[dict[str, str]] = {"Origin": APP}


def written(upstream: FakeUpstream, policy: Mapping[str, Any] | None = None, **own: Any) -> dict[str, Any]:
    return {
        "upstreams": {"api": {"base_url": upstream.url, "dialect": "http"}},
        "plugins": {
            "cors": {"use": CorsPlugin, **(policy if policy is not None else {"origins": [APP]})},
            "access": {"keys": [{"name": "web", "tenant": "shop", "key": "${env:KEY}"}]},
        },
        "pipeline": ["cors", "access"],
        "routes": [
            {"name": "orders", "match": {"path": "/orders", "methods": ["GET", "POST"]}, "upstream": "api",
             "plugins": [{"cors": own}] if own else []},
            {"name": "files", "match": {"path": "/files/*"}, "upstream": "api"},
        ],
    }  # fmt: skip


async def ask(config: Mapping[str, Any], method: str, path: str = "/orders", **headers: str) -> RawReply:
    async with running_gateway(config, environ={"KEY": KEY}) as gateway, RawClient(gateway.url) as client:
        fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        await client.send(f"{method} {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode())
        return await client.read_reply(method=method)


def cors_fields(reply: RawReply) -> dict[str, str]:
    return {n.lower(): v for n, v in reply.headers if n.lower().startswith(("access-control", "vary"))}


async def test_a_preflight_is_answered_before_keys_and_never_reaches_the_upstream() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        reply = await ask(written(upstream), "OPTIONS", **PREFLIGHT)

        assert reply.status == 204
        assert cors_fields(reply) == {
            "access-control-allow-origin": APP,
            "access-control-allow-methods": "GET, POST",
            "access-control-max-age": "600",
            "vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        }
        assert upstream.requests == []


async def test_keys_are_not_asked_for_before_a_preflight_is_answered() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        config = {**written(upstream), "pipeline": ["access", "cors"]}

        with pytest.raises(StartError, match="'access' must stand below 'cors'"):
            await ask(config, "OPTIONS", **PREFLIGHT)


async def test_a_preflight_of_another_origin_is_refused() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        reply = await ask(written(upstream), "OPTIONS", **{**PREFLIGHT, "Origin": "null"})

        assert (reply.status, cors_fields(reply)) == (403, {"vary": "Origin"})
        assert upstream.requests == []


@pytest.mark.parametrize(
    "left",
    [{"Origin": APP}, {"Access-Control-Request-Method": "POST"}, {**PREFLIGHT, "x": "y"} | {"Origin": ""}],
)
async def test_no_options_gets_past_keys_or_the_routes_methods(left: dict[str, str]) -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        orders = await ask(written(upstream), "OPTIONS", **left)
        files = await ask(written(upstream), "OPTIONS", "/files/a", **left)

        assert orders.status in {403, 405}
        assert files.status in {401, 403}
        assert upstream.requests == []


async def test_an_options_is_judged_anew_after_a_preflight_of_its_target() -> None:
    async with (
        FakeUpstream().reply(json={}) as upstream,
        running_gateway(written(upstream), environ={"KEY": KEY}) as gateway,
        RawClient(gateway.url) as client,
    ):
        statuses = []
        for fields in (b"Origin: %b\r\nAccess-Control-Request-Method: POST\r\n" % APP.encode(), b""):
            reply = await client.exchange(b"OPTIONS /orders HTTP/1.1\r\nHost: h\r\n%b\r\n" % fields)
            statuses.append(reply.status)

        assert statuses == [204, 405]


async def test_an_answer_is_for_the_page_whatever_the_upstream_says() -> None:
    theirs = [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Accept"),
    ]
    async with FakeUpstream().reply(json={}, headers=theirs) as upstream:
        mine = await ask(written(upstream), "GET", Authorization=f"Bearer {KEY}", Origin=APP)
        evil = await ask(
            written(upstream), "GET", Authorization=f"Bearer {KEY}", Origin="https://evil.example"
        )
        none = await ask(written(upstream), "GET", Authorization=f"Bearer {KEY}")

        assert cors_fields(mine) == {"access-control-allow-origin": APP, "vary": "Accept, Origin"}
        assert cors_fields(evil) == cors_fields(none) == {"vary": "Accept, Origin"}
        assert len(upstream.requests) == 3


async def test_a_page_can_read_why_it_was_refused() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        reply = await ask(written(upstream), "GET", Origin=APP)

        assert (reply.status, reply.header("access-control-allow-origin")) == (401, APP)


async def test_pages_of_others_may_be_refused_and_programs_never_are() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        config = written(upstream, {"origins": [APP], "others": "refuse"})
        key = f"Bearer {KEY}"
        evil = await ask(config, "POST", Authorization=key, Origin="https://evil.example")
        several = await ask(config, "POST", Authorization=key, Origin=APP, origin="https://evil.example")
        program = await ask(config, "POST", Authorization=key)

        assert (evil.status, several.status, program.status) == (403, 403, 200)
        assert len(upstream.requests) == 1


async def test_a_routes_policy_stands_in_place_of_the_plugins() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        config = written(upstream, {"origins": [APP], "expose": ["X-A"]}, origins=["*"])
        reply = await ask(config, "GET", Authorization=f"Bearer {KEY}", Origin="https://any.example")

        assert cors_fields(reply) == {"access-control-allow-origin": "*"}


async def test_a_cached_answer_is_told_to_each_page_as_its_own() -> None:
    async with FakeUpstream().reply(json={}, headers=[("Cache-Control", "max-age=60")]) as upstream:
        config = written(upstream, {"origins": [APP, "https://b.example"]})
        config["stores"] = {"main": {"url": "memory://"}}
        config["plugins"] = {"cors": config["plugins"]["cors"], "httpcache": {"store": "main"}}
        config["pipeline"] = ["cors", {"httpcache": {"profile": "api"}}]
        async with running_gateway(config, environ={"KEY": KEY}) as gateway, RawClient(gateway.url) as client:
            told = []
            for origin in (APP, "https://b.example", "https://evil.example"):
                reply = await client.exchange(
                    b"GET /files/a HTTP/1.1\r\nHost: h\r\nOrigin: %b\r\n\r\n" % origin.encode()
                )
                told.append(reply.header("access-control-allow-origin"))
                assert "origin" in (reply.header("vary") or "").lower()

        assert told == [APP, "https://b.example", None]
        assert len(upstream.requests) == 1
