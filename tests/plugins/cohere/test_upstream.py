from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from tests.plugins.conftest import MakeExchange

from llmproxy.canonical import (
    Answer,
    CountRequest,
    EmbedAnswer,
    EmbedRequest,
    GenerateRequest,
    Link,
    Losses,
    Message,
    RerankAnswer,
    RerankRequest,
    Text,
)
from llmproxy.plugin import (
    BadRequest,
    ClientFace,
    Endpoint,
    Headers,
    Reply,
    UpstreamConfig,
    UpstreamFace,
    Usage,
    WholeTap,
)
from llmproxy_cohere.streams import ChatDecoder
from llmproxy_cohere.taps import LineTap, StreamTap
from llmproxy_cohere.upstream import CohereUpstream

upstream: UpstreamFace = CohereUpstream()
HI = GenerateRequest(model="public", messages=(Message("user", (Text("Hi"),)),))


def reply(kind: str = "application/json", status: int = 200) -> Reply:
    return Reply(status, Headers.of({"Content-Type": kind}))


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/v2/chat", "application/json", WholeTap),
        ("/v2/chat", "text/event-stream", StreamTap),
        ("/v1/chat", "application/stream+json", LineTap),
        ("/v2/embed", "application/json", WholeTap),
        ("/v1/datasets", "text/csv", type(None)),
    ],
)
def test_the_tap_fits_the_answer(
    exchange_for: MakeExchange, path: str, kind: str, expected: type[Any]
) -> None:
    assert type(upstream.tap(exchange_for(path), reply(kind))) is expected


def test_the_first_apis_chat_passes_whoever_asks(exchange_for: MakeExchange) -> None:
    for path, native in (("/v1/chat", True), ("/v1/chat/completions", False)):
        exchange = exchange_for(path)
        exchange.client_face = cast("ClientFace", SimpleNamespace(wire="openai"))

        assert upstream.native(exchange) is native


def test_neither_errors_nor_listings_are_read(exchange_for: MakeExchange) -> None:
    assert upstream.tap(exchange_for(), reply(status=429)) is None
    assert upstream.tap(exchange_for("/v1/models", method="GET"), reply()) is None


def test_a_whole_answer_tells_its_bill_wherever_it_stands(exchange_for: MakeExchange) -> None:
    for body, usage in (
        (b'{"message":{},"usage":{"billed_units":{"input_tokens":2}}}', Usage(2)),
        (b'{"results":[],"meta":{"billed_units":{"search_units":1}}}', Usage(units=1)),
    ):
        tap = upstream.tap(exchange_for("/v1/chat/completions"), reply())
        assert tap is not None
        tap.feed(body)
        tap.end()
        assert tap.usage == usage


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("https://api.cohere.com", "/v2/chat"),
        ("https://api.cohere.com/v2", "/chat"),
        ("https://a.test/cohere/", "/v2/chat"),
    ],
)
def test_the_base_url_may_name_the_version(exchange_for: MakeExchange, base_url: str, target: str) -> None:
    face = upstream.for_upstream(UpstreamConfig(dialect="cohere", base_url=base_url))

    wire = face.encode_request(exchange_for("/v1/messages"), Endpoint("main", "m"), HI, Losses())

    assert wire is not None
    assert wire.target == target
    assert isinstance(wire.body, bytes)
    assert orjson.loads(wire.body)["model"] == "m"
    assert face.encode(exchange_for(), Endpoint("main"), b"{}").target == target


def test_each_kind_of_request_has_its_call(exchange_for: MakeExchange) -> None:
    asked: list[tuple[Any, str]] = [
        (EmbedRequest(model="m", inputs=("a",)), "/v2/embed"),
        (RerankRequest(model="m", query="q", documents=("a",)), "/v2/rerank"),
    ]
    for request, target in asked:
        wire = upstream.encode_request(exchange_for(), Endpoint("main"), request, Losses())
        assert wire is not None
        assert wire.target == target
    assert (
        upstream.encode_request(exchange_for(), Endpoint("main"), CountRequest(request=HI), Losses()) is None
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"message":{"content":[]},"finish_reason":"COMPLETE"}', Answer),
        (b'{"embeddings":{"float":[[1]]}}', EmbedAnswer),
        (b'{"results":[]}', RerankAnswer),
    ],
)
def test_each_kind_of_answer_is_read(exchange_for: MakeExchange, body: bytes, kind: type[Any]) -> None:
    assert isinstance(upstream.decode_answer(exchange_for(), reply(), body), kind)


def test_what_is_no_answer_is_refused(exchange_for: MakeExchange) -> None:
    with pytest.raises(ValueError, match="object"):
        upstream.decode_answer(exchange_for(), reply(), b"[]")


def test_an_error_is_read_with_its_words(exchange_for: MakeExchange) -> None:
    body = b'{"error_type":"TOO_MANY_TOKENS","id":"1","message":"too many tokens"}'

    error = upstream.decode_error(exchange_for(), reply(status=400), body)

    assert (error.status, error.message) == (400, "too many tokens")


def test_a_request_that_cannot_be_written_is_refused(exchange_for: MakeExchange) -> None:
    deep: Any = {}
    for _ in range(400):
        deep = {"a": deep}
    request = RerankRequest(model="m", query="q", documents=(deep,))

    with pytest.raises(BadRequest):
        upstream.encode_request(exchange_for(), Endpoint("main"), request, Losses())


def test_the_rest_is_what_cohere_takes(exchange_for: MakeExchange) -> None:
    assert upstream.credentials("k") == [(b"Authorization", b"Bearer k")]
    assert upstream.fetches(Link("https://a.test"), "document")
    assert not upstream.fetches(Link("https://a.test"), "image")
    assert isinstance(upstream.stream_decoder(exchange_for(), reply("text/event-stream")), ChatDecoder)
    assert upstream.stream_decoder(exchange_for(), reply()) is None
