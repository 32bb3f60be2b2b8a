from __future__ import annotations

import orjson
import pytest

from llmproxy.canonical import (
    Answer,
    Choice,
    CountAnswer,
    CountRequest,
    EmbedAnswer,
    EmbedRequest,
    Format,
    GenerateRequest,
    Losses,
    Text,
)
from llmproxy.plugin import BadRequest, Endpoint, GatewayError
from llmproxy_ollama import calls
from llmproxy_ollama.names import LOSS_NAMES

from .conftest import STREAM, line, piece


def decode(exchange, body, losses=None):
    return calls.decode_call(exchange, orjson.dumps(body), Losses() if losses is None else losses)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/api/chat", {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}, GenerateRequest),
        ("/api/generate", {"model": "m", "prompt": "Hi"}, GenerateRequest),
        ("/api/embed", {"model": "m", "input": "Hi"}, EmbedRequest),
        ("/api/embeddings", {"model": "m", "prompt": "Hi"}, EmbedRequest),
    ],
)
def test_each_call_is_read_as_its_kind(exchange_for, path, body, kind):
    assert type(decode(exchange_for(path, body), body)) is kind


def test_other_calls_are_not_translated(exchange_for):
    for path in ("/api/show", "/api/pull"):
        with pytest.raises(BadRequest):
            decode(exchange_for(path), {})


@pytest.mark.parametrize("body", [b"[]", b"{", b"1"])
def test_a_body_that_is_no_object_is_refused(exchange_for, body):
    with pytest.raises(BadRequest):
        calls.decode_call(exchange_for(), body, Losses())


def test_losses_of_a_prompt_have_its_own_names(exchange_for):
    losses = Losses(LOSS_NAMES)
    decode(exchange_for("/api/generate"), {"prompt": "Hi"}, losses)
    losses.lose("content.image")

    assert [loss.field for loss in losses] == ["images[]"]


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/api/generate", {"model": "m"}, "load"),
        ("/api/generate", {"model": "m", "prompt": "", "keep_alive": 0}, "unload"),
        ("/api/chat", {"model": "m", "messages": []}, "load"),
        ("/api/chat", {"model": "m", "messages": [], "keep_alive": "5m"}, "load"),
    ],
)
def test_who_only_wants_a_model_loaded_is_answered_here(exchange_for, path, body, reason):
    told = orjson.loads(calls.answer_here(exchange_for(path, body), orjson.dumps(body)).body)

    assert (told["model"], told["done"], told["done_reason"]) == ("m", True, reason)


def test_a_model_is_shown_and_the_version_told_without_asking_anybody(exchange_for):
    shown = calls.answer_here(exchange_for("/api/show"), b'{"model":"m"}')

    assert orjson.loads(shown.body)["model_info"]["general.basename"] == "m"
    assert calls.answer_here(exchange_for("/api/version", method="GET"), b"").status == 200


@pytest.mark.parametrize(
    ("path", "body", "method"),
    [
        ("/api/chat", b'{"messages":[{"role":"user"}]}', "POST"),
        ("/api/generate", b'{"prompt":"Hi"}', "POST"),
        ("/api/embed", b'{"input":""}', "POST"),
        ("/api/tags", b"{}", "GET"),
    ],
)
def test_what_a_model_is_asked_is_not_answered_here(exchange_for, path, body, method):
    assert calls.answer_here(exchange_for(path, method=method), body) is None


def test_answers_have_the_form_that_was_asked_for(exchange_for):
    said = Answer(choices=(Choice(content=(Text(text="Hi"),), finish="stop"),))

    def told(path, answer):
        return orjson.loads(calls.encode_answer(exchange_for(path), answer).body)

    assert told("/api/chat", said)["message"]["content"] == "Hi"
    assert told("/api/generate", said)["response"] == "Hi"
    assert told("/api/embed", EmbedAnswer(vectors=((1.0,),)))["embeddings"] == [[1.0]]
    assert told("/api/embeddings", EmbedAnswer(vectors=((1.0,),))) == {"embedding": [1.0]}
    with pytest.raises(BadRequest):
        calls.encode_answer(exchange_for(), CountAnswer(tokens=1))


def test_requests_are_written_where_they_belong(exchange_for):
    def target(request, prefix="/api"):
        wire = calls.encode_call(exchange_for(), Endpoint("up", "n"), request, Losses(), prefix=prefix)
        return None if wire is None else (wire.target, orjson.loads(wire.body)["model"])

    talk = GenerateRequest(model="m")
    assert target(talk) == ("/api/chat", "n")
    assert target(talk, "") == ("/chat", "n")
    assert target(EmbedRequest(model="m", inputs=("a",))) == ("/api/embed", "n")
    assert target(CountRequest(request=talk)) is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"embeddings":[]}', EmbedAnswer),
        (b'{"message":{"content":"Hi"},"done":true}', Answer),
        (b'{"response":"Hi","done":true}', Answer),
    ],
)
def test_whole_answers_are_read(body, kind):
    assert type(calls.decode_answer(body)) is kind


def test_an_error_in_a_good_status_is_one():
    with pytest.raises(GatewayError, match="broken"):
        calls.decode_answer(b'{"error":"broken"}')


def test_lines_that_came_as_one_answer_are_put_together():
    (choice,) = calls.decode_answer(STREAM).choices

    assert [type(block).__name__ for block in choice.content] == ["Reasoning", "Text", "ToolCall"]
    with pytest.raises(GatewayError, match="broken"):
        calls.decode_answer(piece("Hi") + line(error="broken"))
    with pytest.raises(ValueError, match="without a line"):
        calls.decode_answer(piece("Hi") + piece("Hi"))


@pytest.mark.parametrize("body", [b"[]", b"{", b"{}"])
def test_what_is_no_answer_is_not_read(body):
    with pytest.raises(ValueError, match=r"."):
        calls.decode_answer(body)


def test_too_deep_a_request_is_refused(exchange_for):
    schema: dict = {}
    for _ in range(300):
        schema = {"a": schema}
    request = GenerateRequest(model="m", format=Format("schema", schema))
    with pytest.raises(BadRequest, match="too deeply"):
        calls.encode_call(exchange_for(), Endpoint("up"), request, Losses(), prefix="/api")
