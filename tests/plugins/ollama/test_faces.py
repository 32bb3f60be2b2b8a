from __future__ import annotations

import subprocess
import sys

import orjson
import pytest

from llmproxy.canonical import EmbedAnswer, GenerateRequest, Link, Losses
from llmproxy.plugin import (
    ClientFace,
    Endpoint,
    GatewayError,
    MessageEdit,
    UpstreamConfig,
    UpstreamFace,
    WholeTap,
)
from llmproxy_ollama.faces import OllamaClient, OllamaUpstream
from llmproxy_ollama.lines import LineDecoder
from llmproxy_ollama.taps import LineTap
from llmproxy_ollama.telling import LineEncoder

from .conftest import reply

client: ClientFace = OllamaClient()
upstream: UpstreamFace = OllamaUpstream()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/json; charset=utf-8", WholeTap),
        ("application/x-ndjson", LineTap),
        ("application/x-ndjson; charset=utf-8", LineTap),
        ("text/html", type(None)),
    ],
)
def test_the_tap_fits_the_answer(exchange_for, kind, expected):
    assert type(upstream.tap(exchange_for(), reply(kind))) is expected


def test_neither_errors_nor_listings_are_read(exchange_for):
    assert upstream.tap(exchange_for(), reply(status=404)) is None
    assert upstream.tap(exchange_for("/api/tags", method="GET"), reply()) is None


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("http://127.0.0.1:11434", "/api/chat"),
        ("http://127.0.0.1:11434/api/", "/chat"),
        ("https://host/ollama", "/api/chat"),
    ],
)
def test_a_base_url_may_end_in_api(exchange_for, base_url, target):
    face = upstream.for_upstream(UpstreamConfig(base_url=base_url, dialect="ollama"))

    assert face.encode(exchange_for(), Endpoint("up"), b"{}").target == target
    wire = face.encode_request(exchange_for(), Endpoint("up"), GenerateRequest(model="m"), Losses())
    assert wire.target == target


def test_pictures_are_fetched_and_nothing_else():
    link = Link(url="https://x/y.png")

    assert upstream.fetches(link, "image")
    assert not upstream.fetches(link, "document")
    assert upstream.credentials("k") == [(b"Authorization", b"Bearer k")]


def test_answers_and_streams_are_decoded(exchange_for):
    exchange = exchange_for()

    assert upstream.decode_answer(exchange, reply(), b'{"embeddings":[]}') == EmbedAnswer()
    assert isinstance(upstream.stream_decoder(exchange, reply("application/x-ndjson")), LineDecoder)
    assert upstream.stream_decoder(exchange, reply()) is None
    assert (
        upstream.decode_error(exchange, reply(status=404), b'{"error":"no such model"}').message
        == "no such model"
    )


def test_the_client_face_reads_edits_and_shapes(exchange_for):
    exchange = exchange_for(body={"model": "m", "messages": []})
    listing = exchange_for("/api/tags", method="GET")

    assert client.reads_body(exchange)
    assert not client.reads_body(listing)
    assert client.key_rules(exchange).kind == "chat"
    assert client.key_rules(listing) is None
    assert client.edits(b'{"messages":[]}', [MessageEdit(0, "user", "x")])
    assert client.error(GatewayError(404, "x", "X.")).status == 404
    assert client.stream_error(exchange, GatewayError(502, "x", "X.")) == b'{"error":"X."}\n'
    assert client.stream_type(exchange) == b"application/x-ndjson"
    assert client.form(exchange, b"").call == "chat"
    assert client.models(listing, ["a"]).status == 200
    assert client.answer_here(exchange, b'{"messages":[]}') is not None
    assert isinstance(client.stream_encoder(exchange), LineEncoder)
    assert upstream.native(exchange)


def test_a_request_goes_through_the_canonical_form_and_back(exchange_for):
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "options": {"top_k": 3}}
    exchange = exchange_for(body=body)
    request = client.decode_request(exchange, orjson.dumps(body), Losses())
    wire = upstream.encode_request(exchange, Endpoint("main", "llama3"), request, Losses())

    assert orjson.loads(wire.body) == {**body, "model": "llama3", "stream": True}
    assert client.encode_answer(exchange, EmbedAnswer()).status == 200
    assert client.retell(b'{"done":true}', client.form(exchange, b""), client.form(exchange, b"")) is not None


def test_a_gateway_that_nobody_speaks_to_in_this_dialect_loads_next_to_nothing():
    code = (
        "import sys, llmproxy_ollama; "
        "found = {name for name in sys.modules if name.startswith(('llmproxy_ollama.', 'llmproxy.canonical'))}; "
        "assert found == {f'llmproxy_ollama.{name}' for name in ('config', 'faces', 'paths', 'plugin')}, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
