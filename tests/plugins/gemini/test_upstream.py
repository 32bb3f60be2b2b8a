from __future__ import annotations

from typing import Any

import pytest
from tests.plugins.conftest import MakeExchange

from llmproxy.canonical import CountAnswer, GenerateRequest, Link, Losses
from llmproxy.plugin import Endpoint, Headers, Reply, UpstreamConfig, UpstreamFace, WholeTap
from llmproxy_gemini.streams import ChunkDecoder
from llmproxy_gemini.taps import StreamTap
from llmproxy_gemini.upstream import GeminiUpstream

upstream: UpstreamFace = GeminiUpstream()

STREAM = "/v1/models/m:streamGenerateContent"


def reply(kind: str, status: int = 200) -> Reply:
    return Reply(status, Headers.of({"Content-Type": kind}))


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/v1/models/m:generateContent", "application/json; charset=UTF-8", WholeTap),
        (STREAM + "?alt=sse", "text/event-stream", StreamTap),
        (STREAM, "application/json", StreamTap),
        (STREAM + "?alt=sse", "application/json", WholeTap),
        ("/v1/models/m:generateContent", "audio/mpeg", type(None)),
    ],
)
def test_the_tap_fits_the_answer(
    exchange_for: MakeExchange, path: str, kind: str, expected: type[Any]
) -> None:
    assert type(upstream.tap(exchange_for(path), reply(kind))) is expected


def test_neither_errors_nor_listings_are_read(exchange_for: MakeExchange) -> None:
    assert upstream.tap(exchange_for(), reply("application/json", 429)) is None
    listing = exchange_for("/v1/models", b"", method="GET")
    assert upstream.tap(listing, reply("application/json")) is None


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("AIzaX", (b"x-goog-api-key", b"AIzaX")),
        ("ya29.x", (b"Authorization", b"Bearer ya29.x")),
        ("eyJx", (b"Authorization", b"Bearer eyJx")),
    ],
)
def test_a_key_has_its_header(key: str, field: tuple[bytes, bytes]) -> None:
    assert upstream.credentials(key) == [field]


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("https://generativelanguage.googleapis.com/v1beta", "/models/g:generateContent"),
        ("https://aiplatform.googleapis.com/v1", "/publishers/google/models/g:generateContent"),
        (
            "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google",
            "/models/g:generateContent",
        ),
    ],
)
def test_vertex_is_told_by_its_host(exchange_for: MakeExchange, base_url: str, target: str) -> None:
    face = upstream.for_upstream(UpstreamConfig(base_url=base_url, dialect="gemini"))

    assert face.encode(exchange_for(), Endpoint("up", "g"), b"{}").target == target
    wire = face.encode_request(exchange_for(), Endpoint("up", "g"), GenerateRequest(model="m"), Losses())
    assert wire is not None
    assert wire.target == target


def test_answers_and_errors_are_decoded(exchange_for: MakeExchange) -> None:
    exchange = exchange_for()
    error = b'{"error":{"code":429,"message":"Slow.","details":[{"retryDelay":"3s"}]}}'

    assert upstream.decode_answer(exchange, reply("application/json"), b'{"totalTokens":3}') == CountAnswer(
        tokens=3
    )
    read = upstream.decode_error(exchange, reply("application/json", 429), error)
    assert (read.status, read.message, read.retry_after) == (429, "Slow.", 3.0)


def test_only_events_are_decoded_as_they_come(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(STREAM)

    assert isinstance(upstream.stream_decoder(exchange, reply("text/event-stream")), ChunkDecoder)
    assert upstream.stream_decoder(exchange, reply("application/json")) is None


def test_its_own_callers_are_native(exchange_for: MakeExchange) -> None:
    assert upstream.native(exchange_for())


def test_what_google_does_not_fetch_is_fetched_for_it() -> None:
    wanted = [
        upstream.fetches(Link(url), "image")
        for url in ("http://a.example/1.png", "HTTP://a.example/", "https://a.example/1.png", "gs://bucket/1")
    ]

    assert wanted == [True, True, False, False]
