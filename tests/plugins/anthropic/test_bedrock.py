"""The dialect as Bedrock's native invocation: paths, envelopes, errors by Amazon's names."""

import orjson
import pytest
from tests.plugins.conftest import records

from llmproxy.canonical import CountRequest, GenerateRequest, Link, Losses, Message, Text
from llmproxy.plugin import (
    Endpoint,
    EventStreamDecoder,
    GatewayError,
    Headers,
    ProviderError,
    Reply,
    WholeTap,
)
from llmproxy_anthropic.bedrock import InvokeClient, InvokeUpstream, read_exception
from llmproxy_anthropic.faces import AnthropicClient
from llmproxy_anthropic.frames import FrameDecoder, FrameEncoder, FrameTap, exception_frame

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
PATH = "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke"
BODY = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
WRAPPED = {"anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["a"], **BODY}
STREAM = "application/vnd.amazon.eventstream"

client = InvokeClient()
upstream = InvokeUpstream()


def opened(exchange_for, path=PATH, body=WRAPPED, face=client, headers=None):
    exchange = exchange_for(path, body, headers or {"Content-Type": "application/json"})
    exchange.client_face = face
    face.open(exchange, exchange._body)
    return exchange


def reply(kind, status=200, **more):
    return Reply(status, Headers.of({"Content-Type": kind, **more}))


@pytest.mark.parametrize(("end", "streamed"), [("", False), ("-with-response-stream", True)])
def test_model_and_stream_are_told_by_the_path(exchange_for, end, streamed):
    exchange = opened(exchange_for, PATH + end)

    assert (exchange.model, exchange.streamed) == (MODEL, streamed)
    assert client.key_rules(exchange).kind == "messages"
    assert client.stream_type(exchange).decode() == STREAM


def test_a_request_is_read_whole(exchange_for):
    exchange = opened(exchange_for, PATH + "-with-response-stream")
    losses = Losses(client.loss_names)
    request = client.decode_request(exchange, exchange._body, losses)

    assert (request.model, request.streamed, list(losses)) == (MODEL, True, [])


def test_from_bedrock_to_bedrock_the_body_is_the_very_same_and_the_signature_stays_here(exchange_for):
    signed = {
        "X-Amz-Date": "d",
        "X-Amz-Security-Token": "t",
        "amz-sdk-request": "r",
        "Content-Type": "application/json",
    }
    exchange = opened(exchange_for, headers=signed)
    request = upstream.encode(exchange, Endpoint("x"), exchange._body)
    other = upstream.encode(exchange, Endpoint("x", "eu.anthropic.claude-v1:0"), exchange._body)

    assert upstream.native(exchange)
    assert (request.target, request.headers.index) == (PATH, {b"content-type": b"application/json"})
    assert request.body is exchange._body
    assert other.target == "/model/eu.anthropic.claude-v1:0/invoke"


def test_others_are_translated(exchange_for):
    exchange = opened(exchange_for, "/v1/messages", {"model": "m", **BODY}, AnthropicClient())
    talk = GenerateRequest(
        model="m", messages=(Message(role="user", content=(Text(text="Hi"),)),), streamed=True
    )
    request = upstream.encode_request(exchange, Endpoint("x", MODEL), talk, Losses({}))
    body = orjson.loads(request.body)

    assert not upstream.native(exchange)
    assert request.target == f"/model/{MODEL}/invoke-with-response-stream"
    assert body["anthropic_version"] == "bedrock-2023-05-31"
    assert {"model", "stream"}.isdisjoint(body)
    assert upstream.encode_request(exchange, Endpoint("x"), CountRequest(request=talk), Losses({})) is None


def test_answers_are_read_by_what_they_are(exchange_for):
    exchange = opened(exchange_for)

    assert type(upstream.tap(exchange, reply("application/json"))) is WholeTap
    assert type(upstream.tap(exchange, reply(STREAM))) is FrameTap
    assert upstream.tap(exchange, reply("text/plain")) is None
    assert upstream.tap(exchange, reply(STREAM, 400)) is None
    assert type(upstream.stream_decoder(exchange, reply(STREAM))) is FrameDecoder
    assert upstream.stream_decoder(exchange, reply("application/json")) is None
    assert type(client.stream_encoder(exchange)) is FrameEncoder


def test_an_error_is_named_in_its_head(exchange_for):
    body = b'{"message": "Slow down."}'
    told = reply("application/json", 429, **{"x-amzn-errortype": "ThrottlingException:http://internal/"})
    error = upstream.decode_error(opened(exchange_for), told, body)

    assert (error.status, error.kind, error.message) == (429, "rate_limit", "Slow down.")


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'"x"', b"null"])
def test_an_error_of_any_shape_is_one(exchange_for, body):
    assert upstream.decode_error(opened(exchange_for), reply("text/html", 503), body).kind == "overloaded"


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("throttlingException", "rate_limit"),
        ("validationException", "invalid_request"),
        ("modelTimeoutException", "timeout"),
        ("serviceUnavailableException", "overloaded"),
        ("modelStreamErrorException", "server"),
        ("somethingNew", "server"),
    ],
)
def test_an_exception_in_a_stream_has_a_kind(word, kind):
    (message,) = EventStreamDecoder().feed(exception_frame(word, "M"))

    assert read_exception(message).kind == kind


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (GatewayError(404, "model_not_found", "M"), "ResourceNotFoundException"),
        (GatewayError(400, "invalid_json", "M"), "ValidationException"),
        (GatewayError(502, "upstream_reset", "M"), "InternalServerException"),
        (ProviderError(429, "x", "M", kind="rate_limit", retry_after=7.0), "ThrottlingException"),
    ],
)
def test_errors_are_worded_as_amazon_words_them(exchange_for, error, word):
    told = client.error(error)
    (message,) = EventStreamDecoder().feed(client.stream_error(opened(exchange_for), error))

    assert (told.status, told.headers.get("x-amzn-errortype")) == (error.status, word)
    assert orjson.loads(told.body) == {"message": "M"}
    assert message.exception_type.lower() == word.lower()


def test_links_are_fetched_and_models_listed_elsewhere(exchange_for):
    assert upstream.fetches(Link(url="https://x/y.png"), "image")
    assert client.models(exchange_for("/model/x", method="GET"), ["m"]) is None
    assert upstream.credentials("k") == [(b"Authorization", b"Bearer k")]


def test_recorded_invocations_mean_the_same_when_they_are_written_anew(exchange_for, judge):
    asked = 0
    for record in records("bedrock"):
        request = record["request"]
        if not record["dialect"].startswith("bedrock.invoke") or "claude" not in record["model"]:
            continue
        if not isinstance(request.get("body"), dict) or "anthropic_version" not in request["body"]:
            continue
        exchange = opened(exchange_for, request["path"], request["body"])
        losses = Losses(client.loss_names)
        read = client.decode_request(exchange, exchange._body, losses)
        wire = upstream.encode_request(exchange, Endpoint("x"), read, losses)
        want = judge.parse_request("anthropic.messages", request["body"], "/v1/messages", record["stream"])
        have = judge.parse_request(
            "anthropic.messages", orjson.loads(wire.body), "/v1/messages", record["stream"]
        )
        assert judge.compare_requests(want, have) == []
        assert wire.target.endswith("stream") is record["stream"]
        asked += 1

    assert asked >= 8
