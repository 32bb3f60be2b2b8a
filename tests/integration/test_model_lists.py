"""A route that lists its models serves those, however else a request names one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.testing import FakeUpstream, RawClient, running_gateway


def request(path: str, kind: str, body: bytes, method: str = "POST") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@pytest.mark.parametrize(
    ("path", "kind", "body", "status"),
    [
        ("/v1/chat/completions", "application/json", b'{"model":"cheap"}', 200),
        ("/v1/chat/completions", "application/json", b'{"model":"dear"}', 404),
        ("/v1/chat/completions", "application/json", b'{"model":"other/dear"}', 404),
        ("/v1/chat/completions", "application/json", b'{"model":"smart"}', 404),
        ("/v1/chat/completions/", "text/plain", b'{"model":"dear"}', 400),
        ("/v1/rerank", "text/plain", b'{"model":"dear"}', 415),
        ("/v1/rerank", "application/json", b'{"query":"no model"}', 400),
    ],
)
async def test_no_other_model_is_reached(path: str, kind: str, body: bytes, status: int) -> None:
    async with FakeUpstream() as listed, FakeUpstream() as other:
        listed.reply(200, json={})
        config = {
            "upstreams": {
                "listed": {"base_url": f"{listed.url}/v1"},
                "other": {"base_url": f"{other.url}/v1"},
            },
            "models": {"smart": {"upstream": "other", "model": "dear"}},
            "routes": [
                {
                    "name": "limited",
                    "match": {"path": "/v1/*"},
                    "upstream": "listed",
                    "models": {"cheap": {"upstream": "listed", "model": "cheap-1"}},
                }
            ],
        }
        async with running_gateway(config) as gateway, RawClient(gateway.url) as client:
            reply = await client.exchange(request(path, kind, body))

        assert reply.status == status
        assert len(listed.requests) == (status == 200)
        assert other.requests == []


async def test_what_needs_no_model_passes() -> None:
    async with FakeUpstream() as upstream:
        upstream.reply(200, json={"data": []})
        config = {
            "upstreams": {"main": {"base_url": f"{upstream.url}/v1"}},
            "routes": [
                {
                    "name": "limited",
                    "match": {"path": "/v1/*"},
                    "upstream": "main",
                    "models": {"cheap": {"upstream": "main"}},
                }
            ],
        }
        async with running_gateway(config) as gateway, RawClient(gateway.url) as client:
            reply = await client.exchange(request("/v1/files", "application/json", b"", method="GET"))

        assert reply.status == 200


#: What tells whose shape a listing has, by the caller's dialect.
SHAPES = [
    ("/v1/models", {}, "data", "id"),
    ("/v1/models", {"anthropic-version": "2023-06-01"}, "data", "id"),
    ("/v1beta/models", {}, "models", "name"),
]


@pytest.mark.parametrize(("path", "headers", "key", "name"), SHAPES)
async def test_a_model_that_may_be_asked_is_there_though_no_list_names_it(path, headers, key, name) -> None:
    config = {
        "upstreams": {"main": {"base_url": "http://127.0.0.1:1/v1", "dialect": "openai"}},
        "models": {"mini-*": "main/gpt-*-mini"},
        "plugins": {"access": {"mode": "open"}},
        "pipeline": ["access"],
        "routes": [{"name": "models"}],
    }
    lines = "".join(f"{field}: {value}\r\n" for field, value in headers.items())

    async with running_gateway(config) as gateway, RawClient(gateway.url) as client:

        async def got(target: str) -> tuple[int, Any]:
            reply = await client.exchange(f"GET {target} HTTP/1.1\r\nHost: h\r\n{lines}\r\n".encode())
            return reply.status, orjson.loads(reply.body)

        listed = await got(path)
        found = [await got(f"{path}/{model}") for model in ("main/gpt-9", "mini-4", "main%2Fgpt-9")]
        missing = await got(f"{path}/nobody")

    assert listed[0] == 200
    assert listed[1][key] == []
    assert [status for status, _ in found] == [200, 200, 200]
    assert [model[name].removeprefix("models/") for _, model in found] == [
        "main/gpt-9",
        "mini-4",
        "main/gpt-9",
    ]
    assert missing[0] == 404
