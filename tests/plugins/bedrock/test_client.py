import orjson
import pytest

from llmproxy.canonical import Answer, Choice, CountRequest, GenerateRequest, Losses, Text
from llmproxy.plugin import BadRequest, Form, GatewayError, Headers, MessageEdit, Reply
from llmproxy_bedrock.client import BedrockClient
from llmproxy_bedrock.keyrules import CONVERSE
from llmproxy_bedrock.telling import ConverseEncoder

from .conftest import HI, SAID, STREAM, made_exchange, told

face = BedrockClient()


@pytest.mark.parametrize(
    ("path", "model", "streamed"),
    [
        ("/model/a%3A0/converse", "a:0", False),
        ("/model/m/converse-stream", "m", True),
        ("/model/m/invoke", "m", False),
        ("/model/m/invoke-with-response-stream", "m", True),
        ("/model/m/count-tokens", "m", False),
        ("/guardrail/g/version/1/apply", None, False),
    ],
)
def test_the_path_says_which_model_and_whether_streamed(path, model, streamed):
    exchange = made_exchange(path)

    assert (exchange.model, exchange.streamed) == (model, streamed)
    assert face.reads_body(exchange) is (model is not None)


def test_other_methods_call_nothing():
    exchange = made_exchange("/model/m/converse", b"", method="GET")

    assert exchange.model is None
    assert face.key_rules(exchange) is None
    assert face.form(exchange, b"") == Form("bedrock")


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/model/m/converse", HI, GenerateRequest),
        ("/model/m/converse-stream", HI, GenerateRequest),
        ("/model/m/count-tokens", {"input": {"converse": HI}}, CountRequest),
    ],
)
def test_a_request_is_read_by_its_path(path, body, kind):
    request = face.decode_request(made_exchange(path, body), orjson.dumps(body), Losses())

    assert type(request) is kind
    assert request.model == "m"
    assert getattr(request, "streamed", False) is path.endswith("stream")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/model/m/invoke", {}),
        ("/guardrail/g/version/1/apply", {}),
        ("/model/m/converse", {"Content-Encoding": "gzip"}),
    ],
)
def test_what_cannot_be_translated_is_refused(path, headers):
    with pytest.raises(BadRequest):
        face.decode_request(made_exchange(path, HI, headers), orjson.dumps(HI), Losses())


def test_answers_have_two_forms():
    exchange = made_exchange("/model/m/converse-stream", HI)
    frames = Reply(200, Headers.of({"Content-Type": STREAM}))

    assert face.form(exchange, b"") == Form("bedrock", "converse", streamed=True)
    assert face.form(exchange, b"", Reply(200)) == Form("bedrock", "converse")
    assert face.form(exchange, b"", frames).streamed
    assert b"Hello" in face.retell(
        SAID, Form("bedrock", "converse", streamed=True), Form("bedrock", "converse")
    )


def test_an_answer_is_named_as_the_exchange_is():
    exchange = made_exchange(body=HI)
    reply = face.encode_answer(exchange, Answer(choices=(Choice(content=(Text(text="x"),), finish="stop"),)))

    assert reply.headers.get("x-amzn-requestid") == exchange.id
    assert orjson.loads(reply.body)["output"]["message"]["content"] == [{"text": "x"}]


def test_errors_are_exceptions_whole_and_in_streams():
    error = GatewayError(429, "x", "slow")

    assert face.error(error).headers.get("x-amzn-errortype") == "ThrottlingException"
    assert told(face.stream_error(made_exchange(), error)) == [("throttlingException", {"message": "slow"})]


def test_the_rest_is_what_the_modules_say():
    exchange = made_exchange(body=HI)

    assert face.key_rules(exchange) is CONVERSE
    assert isinstance(face.stream_encoder(exchange), ConverseEncoder)
    assert face.stream_type(exchange) == STREAM.encode()
    assert face.models(exchange, ("m",)) is None
    assert len(face.edits(orjson.dumps(HI), [MessageEdit(0, "user", "x")])) == 1
