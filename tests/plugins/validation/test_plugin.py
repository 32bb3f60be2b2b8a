from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from llmproxy.testing import (
    FakeUpstream,
    PluginContract,
    RawClient,
    Served,
    make_exchange,
    make_process,
    run_route,
    running_gateway,
    running_route,
)
from llmproxy_validation import ValidationPlugin

BODY = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "maxLength": 5}}}
ROUTE = {"request": {"body": BODY, "query": {"properties": {"limit": {"type": "integer", "maximum": 9}}}}}
JSON = {"Content-Type": "application/json"}


class TestContract(PluginContract):
    plugin_class = ValidationPlugin
    config: ClassVar[dict[str, Any]] = {"errors": 3}
    route: ClassVar[dict[str, Any]] = {"request": {"body": {"type": "object"}}, "reply": {}, "replies": "log"}


async def serve(
    route: Mapping[str, Any],
    body: Any = b"",
    path: str = "/a",
    method: str = "POST",
    *,
    upstream: FakeUpstream | None = None,
    headers: Mapping[str, str] = JSON,
    process: Any = None,
) -> tuple[Served, list[Any]]:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    exchange = make_exchange(method, path, headers=headers, body=data)
    tables = {"validation": {"use": ValidationPlugin, "max_body": 1000}}
    async with upstream or FakeUpstream().reply(json={"id": 1}) as there:
        served = await run_route(
            tables, exchange, upstream=there, options={"validation": route}, process=process
        )
        return served, there.requests


async def test_what_is_as_declared_passes_as_it_came() -> None:
    served, [sent] = await serve(ROUTE, b'{ "text": "hi" }', "/a?limit=3&other=x")

    assert served.reply.status == 200
    assert (sent.body, sent.target) == (b'{ "text": "hi" }', "/a?limit=3&other=x")


async def test_what_is_not_is_refused_with_its_places_and_without_its_values() -> None:
    served, sent = await serve(ROUTE, {"text": "SECRET-SECRET"}, "/a?limit=100")
    told = served.json()

    assert (served.reply.status, sent) == (400, [])
    assert served.reply.headers.get("content-type") == "application/problem+json"
    assert told["code"] == "invalid_request"
    assert told["errors"] == [
        {"in": "query", "pointer": "#/limit", "detail": "must be 9 at most"},
        {"in": "body", "pointer": "#/text", "detail": "must have 5 characters at most"},
    ]
    assert b"SECRET" not in served.body


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b'{"text":"a","text":"b"}', JSON, 400),
        (b'{"text":"a"}', {"Content-Type": "text/plain"}, 415),
        (b'{"text":"a"}', {}, 415),
        (b'{"text":"a"}', {**JSON, "Content-Encoding": "gzip"}, 415),
        (b'{"text":"a"}', {"Content-Type": "application/json; charset=utf-7"}, 415),
        (b'{"text":"a"}', {"content-type": "text/plain", **JSON}, 415),
        (b'"' + b"x" * 1000 + b'"', JSON, 413),
        (b"", {**JSON, "Content-Length": "1001"}, 413),
    ],
)
async def test_a_body_that_cannot_be_judged_is_refused(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    served, sent = await serve(ROUTE, body, headers=headers)

    assert (served.reply.status, sent) == (status, [])


async def test_a_large_body_is_judged_beside_the_others() -> None:
    tables = {"validation": {"use": ValidationPlugin, "max_body": "1MiB"}}
    route = {"request": {"body": {"type": "array", "items": {"type": "integer"}}}}
    for last, status in ((b"1", 200), (b'"x"', 400)):
        exchange = make_exchange(headers=JSON, body=b"[" + b"1," * 50_000 + last + b"]")
        async with FakeUpstream().reply(json={}) as upstream:
            served = await run_route(tables, exchange, upstream=upstream, options={"validation": route})

        assert served.reply.status == status


async def test_undeclared_parameters_pass_unless_they_are_refused() -> None:
    served, sent = await serve({**ROUTE, "unknown_query": "refuse"}, {"text": "a"}, "/a?other=SECRET")

    assert (served.reply.status, sent) == (400, [])
    assert b"SECRET" not in served.body


DOCUMENT = {
    "openapi": "3.1.0",
    "paths": {
        "/orders/{id}": {
            "get": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"required": ["id"]}}}},
                    "404": {"description": "none"},
                },
            }
        }
    },
}


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "shop.json"
    path.write_bytes(orjson.dumps(DOCUMENT))
    return {"openapi": str(path), "base_path": "/v1"}


@pytest.mark.parametrize(
    ("method", "path", "status", "passed"),
    [
        ("GET", "/v1/orders/7", 200, 200),
        ("GET", "/v1/orders/x", 400, 400),
        ("GET", "/v1/nothing", 404, 200),
        ("DELETE", "/v1/orders/7", 405, 200),
    ],
)
async def test_a_document_says_what_there_is(
    document: dict[str, Any], method: str, path: str, status: int, passed: int
) -> None:
    served, _ = await serve(document, b"", path, method)
    lax, _ = await serve({**document, "unknown": "pass"}, b"", path, method)

    assert (served.reply.status, lax.reply.status) == (status, passed)


def faults(process: Any) -> list[str]:
    text = process.metrics.exposition([process.metrics.snapshot()])
    return [line for line in text.splitlines() if line.startswith("llmproxy_validation_faults_total{")]


ANSWERS = [
    (lambda: FakeUpstream().reply(json={"id": 1}), True),
    (lambda: FakeUpstream().reply(404, json={"x": 1}), True),
    (lambda: FakeUpstream().reply(json={"other": 1}), False),
    (lambda: FakeUpstream().reply(500, json={}), False),
    (lambda: FakeUpstream().reply(body=b"<p>", headers=[("Content-Type", "text/html")]), False),
    (lambda: FakeUpstream().reply(body=b"{", headers=[("Content-Type", "application/json")]), False),
    (
        lambda: FakeUpstream().stream(
            [b'{"other"', b":1}"], delay=0.02, headers=[("Content-Type", "application/json")]
        ),
        False,
    ),
]


@pytest.mark.parametrize(("upstream", "valid"), ANSWERS)
@pytest.mark.parametrize("how", ["log", "refuse"])
async def test_an_answer_is_judged_as_the_route_says(
    document: dict[str, Any], upstream: Callable[[], FakeUpstream], valid: bool, how: str
) -> None:
    process = make_process()
    served, [sent] = await serve(
        {**document, "replies": how}, b"", "/v1/orders/7", "GET", upstream=upstream(),
        headers={"Accept-Encoding": "gzip"}, process=process,
    )  # fmt: skip

    assert sent.header("accept-encoding") == "identity"
    assert (served.reply.status == 502) is (how == "refuse" and not valid)
    assert (faults(process) != []) is not valid
    if valid:
        assert served.body in {b'{"id":1}', b'{"x":1}'}


async def test_a_long_answer_is_judged_when_it_has_passed() -> None:
    route = {"reply": {"type": "array", "items": {"type": "integer"}}, "replies": "log"}
    pieces = [b"[" + b"1," * 20_000, b'"x"]']
    process = make_process()
    tables = {"validation": {"use": ValidationPlugin}}
    async with (
        FakeUpstream().stream(pieces, delay=0.01, headers=[("Content-Type", "application/json")]) as upstream,
        running_route(tables, upstream=upstream, options={"validation": route}, process=process) as serving,
    ):
        served = await serving.serve(make_exchange("GET", "/a"))
        async with asyncio.timeout(5):
            while not faults(process):
                await asyncio.sleep(0.01)

    assert served.body == b"".join(pieces)


async def test_an_answer_that_is_too_large_to_be_judged_is_refused(document: dict[str, Any]) -> None:
    large = FakeUpstream().stream(
        [b" " * 600] * 2, delay=0.01, headers=[("Content-Type", "application/json")]
    )
    served, _ = await serve({**document, "replies": "refuse"}, b"", "/v1/orders/7", "GET", upstream=large)

    assert (served.reply.status, served.json()["code"]) == (502, "reply_not_valid")


async def test_a_models_caller_is_told_in_its_own_dialect() -> None:
    async with FakeUpstream().reply(json={}) as upstream:
        limit = {"type": "object", "properties": {"max_tokens": {"type": "integer", "maximum": 100}}}
        config = {
            "upstreams": {"openai": {"base_url": upstream.url, "dialect": "openai", "proxy": None}},
            "plugins": {"validation": {"use": ValidationPlugin}, "openai": {}},
            "models": {"m": {"upstream": "openai"}},
            "routes": [{"name": "all", "plugins": [{"validation": {"request": {"body": limit}}}]}],
        }
        body = b'{"model":"m","max_tokens":5000,"messages":[]}'
        async with running_gateway(config) as gateway, RawClient(gateway.url) as client:
            reply = await client.exchange(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body
            )

        error = orjson.loads(reply.body)["error"]
        assert reply.status == 400
        assert "body/max_tokens must be 100 at most" in error["message"]
        assert upstream.requests == []
