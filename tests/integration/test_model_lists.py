"""A route that lists its models serves those, however else a request names one."""

from __future__ import annotations

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
        ("/v1/rerank", "text/plain", b'{"model":"dear"}', 400),
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
