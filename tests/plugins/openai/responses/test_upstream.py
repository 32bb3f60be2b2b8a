from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from llmproxy.canonical import (
    Answer,
    Collector,
    CountRequest,
    EmbedRequest,
    GenerateRequest,
    Losses,
    Message,
    Text,
)
from llmproxy.plugin import Endpoint, Headers, Quirks, Reply, UpstreamFace
from llmproxy.testing import make_exchange
from llmproxy_openai.faces import OpenAIClient
from llmproxy_openai.responses import decode_request, encode_answer, stream_encoder
from llmproxy_openai.responses.stream_reader import ResponsesDecoder
from llmproxy_openai.responses.upstream import ResponsesUpstream

if TYPE_CHECKING:
    from .conftest import AskedFor

face: UpstreamFace = ResponsesUpstream()
REQUEST = GenerateRequest(model="m", messages=(Message(role="user", content=(Text(text="hello"),)),))


@pytest.mark.parametrize(
    ("path", "native"),
    [
        ("/v1/responses", True),
        ("/v1/responses/resp_1", True),
        ("/v1/responses/input_tokens", True),
        ("/v1/models", True),
        ("/v1/chat/completions", False),
        ("/v1/embeddings", True),
    ],
)
def test_openais_callers_pass_but_for_calls_that_are_put_in_other_words(path: str, native: bool) -> None:
    exchange = make_exchange(path=path)
    exchange.client_face = OpenAIClient()

    assert face.native(exchange) is native


def test_callers_of_other_dialects_are_translated() -> None:
    exchange = make_exchange(path="/v1/messages")
    assert face.native(exchange)

    other: Any = OpenAIClient()
    other.wire = "other"
    exchange.client_face = other
    assert not face.native(exchange)


def test_a_request_is_posted_with_the_endpoints_model(asked_for: AskedFor) -> None:
    exchange = make_exchange(
        path="/v1/messages", headers={"X-Team": "a", "X-Api-Key": "secret", "Content-Type": "text/x"}
    )

    wire = face.encode_request(exchange, Endpoint("up", "real"), REQUEST, Losses())

    assert wire is not None
    assert (wire.method, wire.target) == ("POST", "/responses")
    assert orjson.loads(wire.body)["model"] == "real"  # type: ignore[arg-type]
    fields = dict(wire.headers)
    assert (fields["X-Team"], fields["Content-Type"]) == ("a", "application/json")
    assert "X-Api-Key" not in fields


def test_a_provider_has_its_ways() -> None:
    one = ResponsesUpstream(Quirks(refused=("temperature",)))
    request = GenerateRequest(model="m", messages=REQUEST.messages, temperature=0.5)

    wire = one.encode_request(make_exchange(), Endpoint("up"), request, Losses())

    assert wire is not None
    assert b"temperature" not in wire.body  # type: ignore[operator]


def test_tokens_are_counted_elsewhere() -> None:
    assert (
        face.encode_request(make_exchange(), Endpoint("up"), CountRequest(request=REQUEST), Losses()) is None
    )


def test_vectors_are_asked_for_as_everywhere() -> None:
    wire = face.encode_request(
        make_exchange(path="/v1/embeddings"), Endpoint("up"), EmbedRequest(model="m", inputs=("a",)), Losses()
    )

    assert wire is not None
    assert wire.target == "/embeddings"


@pytest.mark.parametrize(
    ("kind", "decoder"), [("text/event-stream", ResponsesDecoder), ("application/json", type(None))]
)
def test_a_stream_is_read_as_one(kind: str, decoder: type[Any]) -> None:
    assert (
        type(face.stream_decoder(make_exchange(), Reply(200, Headers.of({"Content-Type": kind})))) is decoder
    )


def test_who_only_passes_on_loads_no_translation() -> None:
    code = (
        "import sys, llmproxy_openai.responses.upstream as up; up.ResponsesUpstream()\n"
        "print([name for name in sys.modules if 'responses.' in name or name == 'llmproxy.canonical'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    assert run.stdout.strip() == "['llmproxy_openai.responses.upstream']"


def test_what_the_package_does_not_offer_is_missing() -> None:
    from llmproxy_openai import responses

    with pytest.raises(AttributeError):
        _ = responses.nothing


@pytest.mark.shared
def test_recorded_requests_mean_the_same_when_they_are_written_again(
    recordings: list[dict[str, Any]], judge: Any
) -> None:
    wrong, tried = {}, 0
    for record in recordings:
        body = record["request"] and record["request"].get("body")
        if record["dialect"] != "openai.responses" or not isinstance(body, dict):
            continue
        if body.get("background") or body.get("conversation"):
            continue
        meant = judge.parse_request("openai.responses", body)
        exchange = make_exchange(path="/v1/responses", body=body, model=body["model"])
        losses = Losses()
        request = decode_request(exchange, orjson.dumps(body), losses)
        wire = face.encode_request(exchange, Endpoint("up"), request, losses)
        assert wire is not None
        tried += 1
        bad = judge.compare_requests(meant, judge.parse_request("openai.responses", orjson.loads(wire.body)))  # type: ignore[arg-type]
        if bad:
            wrong[record["id"]] = bad

    assert not wrong
    assert tried > 300


@pytest.mark.shared
def test_recorded_answers_mean_the_same_when_they_are_told_again(
    recordings: list[dict[str, Any]], judge: Any, asked_for: AskedFor
) -> None:
    wrong, tried = {}, 0
    for record in recordings:
        reply = record["response"]
        if record["dialect"] != "openai.responses" or reply["status"] >= 400:
            continue
        truth = judge.parse_response("openai.responses", reply)
        if truth.problems:
            continue  # several responses in one stream, texts that were edited by hand
        tried += 1
        told = _told_again(reply, asked_for)
        got = judge.parse_response("openai.responses", told)
        bad, _ = judge.compare(truth, got, "openai.responses", "full")
        bad += judge.shape_problems("openai.responses", told)
        if bad:
            wrong[record["id"]] = bad

    assert not wrong
    assert tried > 300


def _told_again(reply: dict[str, Any], asked_for: AskedFor) -> dict[str, Any]:
    exchange = asked_for()
    if "events" not in reply:
        answer = face.decode_answer(exchange, Reply(200), orjson.dumps(reply["body"]))
        assert isinstance(answer, Answer)
        return {"status": 200, "body": orjson.loads(encode_answer(exchange, answer).body)}  # type: ignore[arg-type]
    data = "".join(reply["events"]).encode()
    decoder, encoder, pieces = ResponsesDecoder(), stream_encoder(exchange), []
    collector = Collector()
    cuts = [data[at : at + 977] for at in range(0, len(data), 977)]
    for event in [event for cut in cuts for event in decoder.feed(cut)] + decoder.close():
        collector.feed(event)
        pieces += encoder.feed(event)
    text = b"".join([*pieces, *encoder.close()]).decode()
    return {"status": 200, "events": [f"{event}\n\n" for event in text.removesuffix("\n\n").split("\n\n")]}
