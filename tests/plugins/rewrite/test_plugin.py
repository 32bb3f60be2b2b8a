from __future__ import annotations

from typing import Any, ClassVar

import orjson
import pytest

from llmproxy.testing import (
    FakeUpstream,
    PluginContract,
    RawClient,
    RawReply,
    Served,
    make_exchange,
    run_route,
    running_gateway,
)
from llmproxy_rewrite import RewritePlugin

KEY = "canary-0123456789abcdef"


class TestContract(PluginContract):
    plugin_class = RewritePlugin
    config: ClassVar[dict[str, Any]] = {"max_body": "64KiB"}
    route: ClassVar[dict[str, Any]] = {
        "path": {"strip": "/v1", "add": "/api"},
        "headers": {"set": {"X-Tenant": "{caller.tenant}"}},
        "body": [{"set": "/user", "to": "{caller.tenant}"}],
        "reply": {"headers": {"remove": ["server"]}},
        "deprecated": {"sunset": "2027-01-01"},
    }


async def serve(upstream: FakeUpstream, route: dict[str, Any], **request: Any) -> Served:
    exchange = make_exchange(**{"method": "POST", "path": "/v1/orders", **request})
    tables = {"rewrite": {"use": RewritePlugin, "max_body": 100}}
    async with upstream:
        return await run_route(tables, exchange, upstream=upstream, options={"rewrite": route})


def ok(**how: Any) -> FakeUpstream:
    return FakeUpstream().reply(**{"json": {"id": 7, "secret": "s"}, **how})


async def test_a_request_is_sent_as_the_route_says() -> None:
    upstream = ok()
    await serve(
        upstream,
        {
            "path": {"strip": "/v1", "add": "/api"},
            "query": {"remove": ["debug"], "set": {"user": "{header.x-user}"}},
            "headers": {"rename": {"X-User": "X-Who"}, "set": {"X-Tenant": "{caller.tenant}"}},
            "body": [{"set": "/who", "to": "{header.x-user}"}, {"remove": "/debug"}],
        },
        path="/v1/orders?debug=1&a=%20",
        headers={"X-User": "a&b", "x_tenant": "evil"},
        body={"id": 1, "debug": True},
    )
    [sent] = upstream.requests

    assert sent.target == "/api/orders?a=%20&user=a%26b"
    assert sent.header("x-who") == "a&b"
    tenants = [value for name, value in sent.headers if name.lower().replace(b"_", b"-") == b"x-tenant"]
    assert tenants == [b"default"]
    assert sent.header("x-user") is None
    assert sent.body == b'{"id":1,"who":"a&b"}'
    assert sent.header("content-length") == str(len(sent.body))


async def test_an_answer_is_told_as_the_route_says() -> None:
    served = await serve(
        ok(headers=[("Server", "x"), ("ETag", '"a"'), ("X-A", "1")]),
        {
            "reply": {
                "headers": {"remove": ["server"], "rename": {"X-A": "X-B"}},
                "body": [{"remove": "/secret"}],
            }
        },
        headers={"Accept-Encoding": "gzip", "Range": "bytes=0-1"},
    )

    assert served.json() == {"id": 7}
    assert (served.reply.headers.get("x-b"), served.reply.headers.get("etag")) == ("1", 'W/"a"')
    assert "server" not in served.reply.headers
    assert "content-length" not in served.reply.headers


async def test_an_answer_that_is_changed_is_asked_for_plain_and_whole() -> None:
    upstream = ok()
    await serve(
        upstream,
        {"reply": {"body": [{"remove": "/secret"}]}},
        headers={"Accept-Encoding": "gzip", "Range": "bytes=0-1", "If-Range": '"a"'},
    )
    [sent] = upstream.requests

    assert [sent.header(name) for name in ("accept-encoding", "range", "if-range")] == [
        "identity",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, b"{}", 415, "unsupported_media_type"),
        ({"Content-Type": "application/json"}, b"{", 400, "body_not_rewritten"),
        ({"Content-Type": "application/json"}, b'{"a":1}', 400, "body_not_rewritten"),
        ({"Content-Type": "application/json"}, b'{"a":{},"a":{}}', 400, "body_not_rewritten"),
        ({"Content-Type": "application/json"}, b'"' + b"x" * 100 + b'"', 413, "body_too_large"),
    ],
)
async def test_a_body_that_cannot_be_changed_is_not_sent(
    headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    upstream = ok()
    served = await serve(upstream, {"body": [{"set": "/a/b", "to": 1}]}, headers=headers, body=body)

    assert (served.reply.status, served.json()["code"]) == (status, code)
    assert upstream.requests == []


@pytest.mark.parametrize(
    "upstream",
    [
        ok(body=b"<html>", headers=[("Content-Type", "text/html")]),
        ok(body=b"[1", headers=[("Content-Type", "application/json")]),
        ok(json={"a": 1}),
        ok(json={"a": "x" * 100}),
        FakeUpstream().stream([b"data: {}\n\n"]),
    ],
    ids=["html", "broken", "unfit", "large", "events"],
)
async def test_an_answer_that_cannot_be_changed_is_not_told(upstream: FakeUpstream) -> None:
    served = await serve(upstream, {"reply": {"body": [{"set": "/a/b", "to": 1}]}})

    assert (served.reply.status, served.json()["code"]) == (502, "reply_not_rewritten")


async def test_errors_keep_their_bodies_and_get_the_headers() -> None:
    route = {
        "reply": {"headers": {"set": {"X-A": "1"}}, "body": [{"remove": "/error"}]},
        "deprecated": {"sunset": "2027-01-01"},
    }
    theirs = await serve(ok(status=404, json={"error": "none"}), route)
    ours = await serve(ok(), {**route, "body": [{"remove": "/x"}]}, body=b"{")

    assert theirs.json() == {"error": "none"}
    assert ours.reply.status == 415
    assert {theirs.reply.headers.get("x-a"), ours.reply.headers.get("x-a")} == {"1"}
    assert {theirs.reply.headers.get("sunset"), ours.reply.headers.get("sunset")} == {
        "Fri, 01 Jan 2027 00:00:00 GMT"
    }


async def test_an_answer_is_not_refused_for_what_its_request_says_after_the_work_is_done() -> None:
    route = {"reply": {"headers": {"remove": ["server"], "set": {"X-To": "{query.to}", "X-A": "1"}}}}
    served = await serve(ok(headers=[("Server", "x")]), route, path="/v1/orders?to=%0d%0aX-Evil:1")

    assert served.reply.status == 200
    assert "server" not in served.reply.headers
    assert "x-to" not in served.reply.headers
    assert served.reply.headers.get("x-a") == "1"


async def test_a_head_has_no_body_to_change() -> None:
    served = await serve(
        ok(headers=[("ETag", '"a"')]), {"reply": {"body": [{"remove": "/secret"}]}}, method="HEAD"
    )

    assert (served.reply.status, served.body) == (200, b"")
    assert "content-length" not in served.reply.headers


@pytest.mark.parametrize("header", ["..", "a\r\nX-Evil: 1"])
async def test_a_value_leads_nowhere_else(header: str) -> None:
    upstream = ok()
    exchange_path = "/v1/orders?to=" + header.replace("\r\n", "%0d%0a")
    served = await serve(
        upstream,
        {"path": {"to": "/people/{query.to}"}, "headers": {"set": {"X-To": "{query.to}"}}},
        path=exchange_path,
    )

    assert served.reply.status == 400
    assert upstream.requests == []


async def test_a_route_chosen_by_the_path_as_it_came_keeps_its_keys() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        config = {
            "upstreams": {"api": {"base_url": upstream.url, "dialect": "http"}},
            "plugins": {
                "access": {"keys": [{"name": "web", "tenant": "shop", "key": "${env:KEY}"}]},
                "rewrite": {"use": RewritePlugin},
            },
            "routes": [
                {"name": "open", "match": {"path": "/open/*"}, "upstream": "api",
                 "plugins": [{"rewrite": {"path": {"strip": "/open"}}}]},
                {"name": "admin", "match": {"path": "/admin/*"}, "upstream": "api", "plugins": ["access"]},
            ],
        }  # fmt: skip
        paths = ("/open/x", "/open/../admin/x", "/open/%2e%2e/admin/x", "/open//admin/x", "/admin/x")
        statuses = [(await ask(config, path)).status for path in paths]

        assert statuses == [200, 400, 400, 400, 401]
        assert [request.target for request in upstream.requests] == ["/x"]


async def ask(config: dict[str, Any], path: str) -> RawReply:
    async with running_gateway(config, environ={"KEY": KEY}) as gateway, RawClient(gateway.url) as client:
        return await client.exchange(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())


async def test_a_changed_body_is_framed_anew_so_that_no_second_request_hides_in_it() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        config = {
            "upstreams": {"api": {"base_url": upstream.url, "dialect": "http"}},
            "plugins": {"rewrite": {"use": RewritePlugin}},
            "routes": [
                {"name": "all", "upstream": "api", "plugins": [{"rewrite": {"body": [{"remove": "/long"}]}}]}
            ],
        }
        body = orjson.dumps({"long": "GET /evil HTTP/1.1\r\n\r\n" * 5, "a": 1})
        async with running_gateway(config) as gateway, RawClient(gateway.url) as client:
            head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
            plain = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            chunked = (
                f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode()
                + body
                + b"\r\n0\r\n\r\n"
            )
            for request in (plain, chunked):
                assert (await client.exchange(request)).status == 200

        assert [(sent.method, sent.body, sent.header("content-length")) for sent in upstream.requests] == [
            ("POST", b'{"a":1}', "7")
        ] * 2
        assert upstream.faults == []


async def test_a_models_request_is_changed_before_its_model_is_looked_for() -> None:
    answer = {"id": "x", "object": "chat.completion", "choices": [], "model": "m"}
    async with FakeUpstream().reply(json=answer) as upstream:
        config = {
            "upstreams": {"openai": {"base_url": upstream.url, "dialect": "openai", "proxy": None}},
            "plugins": {"rewrite": {"use": RewritePlugin}, "openai": {}},
            "models": {"right": {"upstream": "openai", "model": "m"}},
            "routes": [
                {"name": "all", "plugins": [{"rewrite": {"body": [
                    {"set": "/model", "to": "right"}, {"default": "/temperature", "to": 0.5},
                ]}}]}
            ],
        }  # fmt: skip
        async with running_gateway(config) as gateway, RawClient(gateway.url) as client:
            body = b'{"model":"wrong","messages":[{"role":"user","content":"hi"}]}'
            reply = await client.exchange(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
        sent = upstream.requests[0].json()

        assert reply.status == 200
        assert (sent["model"], sent["temperature"]) == ("m", 0.5)
