from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from llmproxy.plugin import ClientFace, Endpoint, GatewayError, Headers, MessageEdit, Reply, UpstreamFace
from llmproxy_openai.faces import OpenAIClient, OpenAIUpstream
from llmproxy_openai.filters import UsageEventFilter
from llmproxy_openai.taps import JsonTap, StreamTap

if TYPE_CHECKING:
    from .conftest import MakeExchange

client: ClientFace = OpenAIClient()
upstream: UpstreamFace = OpenAIUpstream()


def reply(kind: str, status: int = 200) -> Reply:
    return Reply(status, Headers.of({"Content-Type": kind}))


def test_models_are_listed_as_openai_lists_them() -> None:
    listing = orjson.loads(client.models(["a", "b/c"]).body)  # type: ignore[arg-type]

    assert listing["object"] == "list"
    assert [model["id"] for model in listing["data"]] == ["a", "b/c"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/json", JsonTap),
        ("application/json; charset=utf-8", JsonTap),
        ("text/event-stream; charset=utf-8", StreamTap),
        ("audio/mpeg", type(None)),
    ],
)
def test_the_tap_fits_the_answer(exchange_for: MakeExchange, kind: str, expected: type[Any]) -> None:
    exchange = exchange_for(body={"model": "m"})

    assert type(upstream.tap(exchange, reply(kind))) is expected


def test_an_error_is_not_read(exchange_for: MakeExchange) -> None:
    assert upstream.tap(exchange_for(body={}), reply("application/json", 429)) is None


def test_an_answer_that_is_fetched_again_is_not_counted_again(exchange_for: MakeExchange) -> None:
    assert upstream.tap(exchange_for("/v1/responses/r1", method="GET"), reply("application/json")) is None


def test_a_stream_is_filtered_only_if_usage_was_asked_for_here(exchange_for: MakeExchange) -> None:
    body = b'{"model":"m","stream":true}'
    exchange = exchange_for(body=body)
    assert upstream.stream_filter(exchange) is None

    upstream.encode(exchange, Endpoint("main"), body)
    assert isinstance(upstream.stream_filter(exchange), UsageEventFilter)


def test_the_providers_key_is_a_bearer_token() -> None:
    assert upstream.credentials("key") == [(b"Authorization", b"Bearer key")]


def test_the_client_face_reads_edits_and_shapes(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(body={"model": "m"})

    assert client.reads_body(exchange)
    assert client.edits(b'{"messages":[]}', [MessageEdit(0, "user", "x")])
    assert client.error(GatewayError(404, "x", "X.")).status == 404
    assert client.stream_error(exchange, GatewayError(502, "x", "X.")).startswith(b"event: error\n")


def test_nothing_is_translated(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(body={"model": "m"})
    attempts = [
        lambda: client.encode_reply(exchange, []),
        lambda: client.stream_encoder(exchange),
        lambda: upstream.decode_reply(exchange, reply("application/json"), b""),
        lambda: upstream.stream_decoder(exchange),
    ]

    for attempt in attempts:
        with pytest.raises(GatewayError) as caught:
            attempt()
        assert caught.value.code == "no_translation"
