import orjson
import pytest

from llmproxy.canonical import CountAnswer, EmbedRequest, GenerateRequest, Link, Losses, Message, Text
from llmproxy.plugin import Endpoint, Headers, Reply, WholeTap
from llmproxy_bedrock.streams import ConverseDecoder
from llmproxy_bedrock.taps import StreamTap
from llmproxy_bedrock.upstream import BedrockUpstream

from .conftest import HI, STREAM, made_exchange

face = BedrockUpstream()


def reply(kind="application/json", status=200, **headers):
    return Reply(status, Headers.of({"Content-Type": kind, **headers}))


@pytest.mark.parametrize(
    ("path", "kind", "status", "expected"),
    [
        ("/model/m/converse", "application/json", 200, WholeTap),
        ("/model/m/invoke", "application/json", 200, WholeTap),
        ("/model/m/invoke", "image/png", 200, type(None)),
        ("/model/m/converse-stream", STREAM, 200, StreamTap),
        ("/model/m/invoke-with-response-stream", STREAM, 200, StreamTap),
        ("/model/m/converse", "application/json", 400, type(None)),
    ],
)
def test_the_tap_fits_the_answer(path, kind, status, expected):
    assert type(face.tap(made_exchange(path), reply(kind, status))) is expected


def test_what_a_native_call_used_is_in_the_head():
    told = {"X-Amzn-Bedrock-Input-Token-Count": "4", "X-Amzn-Bedrock-Output-Token-Count": "5"}
    tap = face.tap(made_exchange("/model/m/invoke"), reply(**told))
    assert tap is not None
    tap.feed(b'{"outputs":[]}')
    tap.end()

    assert tap.usage is not None
    assert tap.usage.total == 9


def test_a_key_is_a_bearer_token():
    assert face.credentials("ABSK") == [(b"Authorization", b"Bearer ABSK")]


def test_links_are_fetched_unless_they_lead_into_a_bucket():
    assert face.fetches(Link(url="https://x"), "image")
    assert not face.fetches(Link(url="s3://b/x"), "image")


def test_requests_are_passed_or_written():
    exchange = made_exchange(body=HI)
    request = GenerateRequest(model="m", messages=(Message(role="user", content=(Text(text="hi"),)),))
    passed = face.encode(exchange, Endpoint("u", "x"), b"{}")
    written = face.encode_request(exchange, Endpoint("u", "x"), request, Losses())

    assert written is not None
    assert passed.target == written.target == "/model/x/converse"
    assert orjson.loads(written.body) == HI
    assert face.encode_request(exchange, Endpoint("u"), EmbedRequest(model="m", inputs=()), Losses()) is None


def test_answers_and_refusals_are_read():
    exchange = made_exchange(body=HI)
    refusal = reply(status=400, **{"x-amzn-errortype": "ValidationException"})

    assert face.decode_answer(exchange, reply(), b'{"inputTokens":3}') == CountAnswer(tokens=3)
    assert face.decode_error(exchange, refusal, b'{"message":"no"}').message == "no"
    assert isinstance(face.stream_decoder(exchange, reply(STREAM)), ConverseDecoder)
    assert face.stream_decoder(exchange, reply()) is None
