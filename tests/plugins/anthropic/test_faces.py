from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from llmproxy.canonical import (
    Answer,
    Choice,
    CountAnswer,
    CountRequest,
    EmbedRequest,
    Link,
    Losses,
    Started,
    Text,
)
from llmproxy.plugin import (
    ClientFace,
    Endpoint,
    GatewayError,
    Headers,
    MessageEdit,
    Reply,
    UpstreamConfig,
    UpstreamFace,
    WholeTap,
)
from llmproxy_anthropic.faces import AnthropicClient, AnthropicUpstream
from llmproxy_anthropic.taps import StreamTap

ROOT = Path(__file__).parents[3]
ASKED = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}

client: ClientFace = AnthropicClient()
upstream: UpstreamFace = AnthropicUpstream()


def reply(kind="application/json", status=200):
    return Reply(status, Headers.of({"Content-Type": kind}))


def test_its_paths_are_claimed_and_shared_ones_by_the_header():
    claims = {claim.path: claim.header for claim in client.claims}

    assert claims["/v1/messages"] == claims["/v1/messages/*"] == claims["/anthropic/*"] == ""
    assert claims["/v1/models"] == claims["/v1/models/*"] == claims["/v1/*"] == "anthropic-version"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/json", WholeTap),
        ("text/event-stream; charset=utf-8", StreamTap),
        ("application/x-jsonl", type(None)),
    ],
)
def test_the_tap_fits_the_answer(exchange_for, kind, expected):
    assert type(upstream.tap(exchange_for(body=ASKED), reply(kind))) is expected


def test_errors_and_answers_that_are_fetched_again_are_not_read(exchange_for):
    assert upstream.tap(exchange_for(body=ASKED), reply(status=429)) is None
    assert upstream.tap(exchange_for("/v1/messages/batches/b", method="GET"), reply()) is None


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("sk-ant-api03-x", [(b"x-api-key", b"sk-ant-api03-x")]),
        ("sk-ant-oat01-x", [(b"Authorization", b"Bearer sk-ant-oat01-x")]),
    ],
)
def test_the_providers_key_travels_where_anthropic_looks(key, expected):
    assert upstream.credentials(key) == expected


def test_the_client_face_reads_edits_and_shapes(exchange_for):
    exchange = exchange_for(body=ASKED)

    assert client.reads_body(exchange)
    assert client.edits(b'{"messages":[]}', [MessageEdit(0, "user", "x")])
    assert client.error(GatewayError(404, "x", "X.")).status == 404
    assert client.stream_error(exchange, GatewayError(502, "x", "X.")).startswith(b"event: error\n")
    assert client.stream_type(exchange) == b"text/event-stream"
    assert client.models(exchange_for("/v1/models", method="GET"), ["a"]).status == 200
    assert upstream.encode(exchange, Endpoint("main"), b"{}").target == "/messages"
    assert upstream.native(exchange)


def test_a_request_goes_through_the_canonical_form_and_back(exchange_for):
    exchange = exchange_for(body={**ASKED, "stream": True})
    request = client.decode_request(exchange, orjson.dumps({**ASKED, "stream": True}), Losses())
    wire = upstream.encode_request(exchange, Endpoint("main", "claude-sonnet-4-5"), request, Losses())

    assert wire.target == "/messages"
    assert orjson.loads(wire.body)["model"] == "claude-sonnet-4-5"
    assert wire.headers.get("anthropic-version") == "2023-06-01"


def test_a_count_is_asked_for_where_counts_are(exchange_for):
    exchange = exchange_for("/v1/messages/count_tokens", ASKED)
    request = client.decode_request(exchange, orjson.dumps(ASKED), Losses())
    wire = upstream.encode_request(exchange, Endpoint("main"), request, Losses())

    assert isinstance(request, CountRequest)
    assert (wire.target, set(orjson.loads(wire.body))) == ("/messages/count_tokens", {"model", "messages"})
    assert upstream.decode_answer(exchange, reply(), b'{"input_tokens":7}') == CountAnswer(tokens=7)
    assert orjson.loads(client.encode_answer(exchange, CountAnswer(tokens=7)).body) == {"input_tokens": 7}


def test_there_are_no_embeddings(exchange_for):
    exchange = exchange_for(body=ASKED)

    assert (
        upstream.encode_request(exchange, Endpoint("main"), EmbedRequest(model="m", inputs=()), Losses())
        is None
    )


def test_an_answer_without_names_gets_the_exchanges(exchange_for):
    exchange = exchange_for(body=ASKED)
    told = orjson.loads(
        client.encode_answer(exchange, Answer(choices=(Choice(content=(Text(text="Hi"),)),))).body
    )

    assert (told["id"], told["model"]) == ("msg_test", "m")


def test_a_stream_begins_with_an_estimate_of_the_input(exchange_for):
    body = {**ASKED, "stream": True, "system": "x" * 400}
    exchange = exchange_for(body=body)
    client.decode_request(exchange, orjson.dumps(body), Losses())
    [start] = client.stream_encoder(exchange).feed(Started())

    assert orjson.loads(start.partition(b"data: ")[2])["message"]["usage"]["input_tokens"] == 101


def test_only_events_have_a_decoder(exchange_for):
    exchange = exchange_for(body=ASKED)

    assert upstream.stream_decoder(exchange, reply()) is None
    assert upstream.stream_decoder(exchange, reply("text/event-stream")) is not None


def test_translation_is_loaded_by_the_first_request_that_needs_it():
    code = "import sys, llmproxy_anthropic; print(*sys.modules)"
    paths = [str(ROOT / "proxy"), str(ROOT / "plugins"), *sys.path]
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0]={paths!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = set(run.stdout.split())
    assert not {"llmproxy_anthropic.decoding", "llmproxy_anthropic.encoding", "llmproxy.canonical"} & loaded


def test_what_is_behind_plain_http_is_fetched_for_it():
    assert upstream.fetches(Link("http://a.example/1.png"), "image")
    assert not upstream.fetches(Link("https://a.example/1.png"), "image")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.anthropic.com/v1", b"x-api-key"),
        ("https://bedrock-mantle.eu-west-1.api.aws/anthropic/v1", b"Authorization"),
        ("https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5", b"Authorization"),
    ],
)
def test_a_key_is_a_bearer_s_where_the_cloud_wants_it_so(url, name):
    face = upstream.for_upstream(UpstreamConfig(base_url=url))

    assert face.credentials("key")[0][0] == name
