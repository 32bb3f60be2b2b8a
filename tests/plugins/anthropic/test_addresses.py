"""Batches name the gateway as the place of their results."""

from __future__ import annotations

import pytest

from llmproxy.plugin import Body, Headers, Reply
from llmproxy_anthropic import addresses
from llmproxy_anthropic.faces import AnthropicUpstream

TOLD = b'{"id":"b","results_url": "https://api.anthropic.com/v1/messages/batches/b/results","x":"y"}'
OURS = TOLD.replace(b"https://api.anthropic.com/v1/", b"https://gate.example/team/v1/")


def replied(exchange_for, path="/team/v1/messages/batches/b", host="gate.example", body=TOLD, **headers):
    exchange = exchange_for(path, method="GET")
    exchange.request.host, exchange.request.scheme = host, "https"
    reply = Reply(200, Headers.of({"Content-Length": str(len(TOLD)), **headers}), body)
    AnthropicUpstream().readdress(exchange, reply)
    return reply


@pytest.mark.parametrize(
    "path", ["/team/v1/messages/batches", "/team/v1/messages/batches/b", "/team/v1/messages/batches/b/cancel"]
)
def test_results_are_fetched_through_the_gateway(exchange_for, path):
    reply = replied(exchange_for, path)

    assert reply.body == OURS
    assert b"content-length" not in reply.headers.index


async def test_an_object_in_pieces_is_changed_as_well(exchange_for):
    source = Body()
    reply = replied(exchange_for, body=source)
    for at in range(0, len(TOLD), 7):
        source.feed(TOLD[at : at + 7])
    source.end()

    assert await reply.body.read(1000) == OURS


async def test_a_list_that_is_too_long_passes_as_it_is(exchange_for, monkeypatch):
    monkeypatch.setattr(addresses, "_MOST", 20)
    source = Body()
    reply = replied(exchange_for, body=source)
    for at in range(0, len(TOLD), 7):
        source.feed(TOLD[at : at + 7])
    source.end()

    assert await reply.body.read(1000) == TOLD


@pytest.mark.parametrize(
    ("path", "host", "headers"),
    [
        ("/v1/messages/batches/b/results", "gate.example", {}),
        ("/v1/messages", "gate.example", {}),
        ("/v1/messages/batches/b", "", {}),
        ("/v1/messages/batches/b", "gate.example", {"Content-Encoding": "br"}),
    ],
)
def test_anything_else_stays(exchange_for, path, host, headers):
    reply = replied(exchange_for, path, host, **headers)

    assert reply.body == TOLD
    assert b"content-length" in reply.headers.index
