from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.canonical import (
    Answer,
    CountRequest,
    EmbedAnswer,
    EmbedRequest,
    GenerateRequest,
    Image,
    Inline,
    Link,
    Losses,
    Message,
    Text,
    ToolCall,
)
from llmproxy.plugin import BadRequest, Endpoint, GatewayError, Headers, ProviderError, Reply, Usage, WholeTap
from llmproxy_declared.places import BadAnswer

from .conftest import bytes_of, declared, example, exchange, minimal, reply, sse, streamed, whole

ASKED = GenerateRequest(model="asked", messages=(Message("user", (Text("Hi"),)),), max_tokens=9)


def wire(face: Any, request: Any = ASKED, model: str | None = "m", *, streamed: bool = False) -> Any:
    return face.encode_request(exchange(streamed=streamed), Endpoint("up", model), request, Losses())


def test_a_call_is_made_as_declared():
    request = wire(example("replicate"), model="meta/llama-3")

    assert request.target == "/models/meta/llama-3/predictions"
    assert (b"Prefer", b"wait") in request.headers.raw
    assert orjson.loads(request.body) == {"input": {"prompt": "Hi", "max_tokens": 9}}


def test_a_stream_is_asked_for_where_there_is_one():
    asked = GenerateRequest(model="m", messages=ASKED.messages, streamed=True)

    assert wire(example("tgi"), asked).target == "/generate_stream"
    assert orjson.loads(wire(example("house"), asked).body)["stream"] is True
    assert orjson.loads(wire(example("house")).body)["stream"] is False
    assert wire(example("replicate"), asked).target == "/models/m/predictions"


def test_the_callers_own_name_for_a_model_is_used_where_no_other_is():
    assert orjson.loads(wire(example("completions"), model=None).body)["model"] == "asked"


def test_what_is_not_declared_is_no_call():
    assert wire(example("house"), EmbedRequest(model="m", inputs=("a",))) is None
    assert wire(example("house"), CountRequest(request=ASKED)) is None
    assert wire(example("vertex-predict")) is None


def test_stop_sequences_that_have_no_place_are_lost():
    face, losses = declared(**minimal(body={"q": "{prompt}", "stop": "{stop/0}"})), Losses()
    asked = GenerateRequest(model="m", messages=ASKED.messages, stop=("a", "b"))
    request = face.encode_request(exchange(), Endpoint("up"), asked, losses)

    assert request is not None
    assert orjson.loads(request.body)["stop"] == "a"
    assert [loss.field for loss in losses] == ["stop"]


def test_the_head_of_an_answer_may_tell_its_usage():
    head = Reply(200, Headers.of({"Content-Type": "application/json", "x-prompt-tokens": "5"}))
    body = b'{"generated_text": "Hi", "details": {"finish_reason": "length", "generated_tokens": 2, "prefill": []}}'
    answer = example("tgi").decode_answer(exchange(), head, body)

    assert isinstance(answer, Answer)
    assert answer.usage == Usage(5, 0, 0, 2, 0)


def test_nobody_speaks_it_and_nothing_passes_through():
    face = example("house")

    assert not face.native(exchange())
    with pytest.raises(BadRequest):
        face.encode(exchange(), Endpoint("up"), b"{}")


def test_keys_have_the_header_that_is_declared():
    assert example("house").credentials("k") == [(b"Authorization", b"Bearer k")]
    own = declared(**minimal(credentials={"X-Api-Key": "{api_key}", "X-Kind": "token {api_key}"}))
    assert own.credentials("k") == [(b"X-Api-Key", b"k"), (b"X-Kind", b"token k")]


def test_pictures_are_fetched_where_their_bytes_are_wanted():
    assert example("ollama-generate").fetches(Link("http://x/y.png"), "image")
    assert not example("house").fetches(Link("http://x/y.png"), "image")
    assert not example("vertex-predict").fetches(Link("http://x/y.png"), "image")
    picture = Message("user", (Text("?"), Image(Inline("image/png", "aaaa"))))
    body = orjson.loads(
        wire(example("ollama-generate"), GenerateRequest(model="m", messages=(picture,))).body
    )
    assert (body["prompt"], body["images"]) == ("?", ["aaaa"])


def test_vectors_are_as_many_as_texts():
    face, one = example("vertex-predict"), exchange()
    request = face.encode_request(
        one, Endpoint("up", "e"), EmbedRequest(model="m", inputs=("a", "b"), dimensions=2), Losses()
    )
    assert request is not None
    assert request.target == "/publishers/google/models/e:predict"
    assert orjson.loads(request.body) == {
        "instances": [{"content": "a"}, {"content": "b"}],
        "parameters": {"outputDimensionality": 2},
    }
    predictions = [{"embeddings": {"values": [n, 1], "statistics": {"token_count": 3}}} for n in range(2)]
    body = orjson.dumps({"predictions": predictions})

    answer = face.decode_answer(one, reply(), body)
    assert answer == EmbedAnswer(vectors=((0.0, 1.0), (1.0, 1.0)), usage=Usage(6))
    tap = face.tap(one, reply())
    assert isinstance(tap, WholeTap)
    tap.feed(body)
    tap.end()
    assert tap.usage == Usage(6)
    with pytest.raises(BadAnswer, match="1 vectors for 2 texts"):
        face.decode_answer(one, reply(), orjson.dumps({"predictions": predictions[:1]}))


def test_two_such_upstreams_may_be_asked_at_once():
    """A hedged call: what the other one was asked meanwhile is nothing to this one's answer."""
    one, two, shared = example("tei"), example("vertex-predict"), exchange()
    for face in (one, two):
        face.encode_request(shared, Endpoint("up", "e"), EmbedRequest(model="m", inputs=("a",)), Losses())

    assert one.decode_answer(shared, reply(), b"[[1, 2]]") == EmbedAnswer(vectors=((1.0, 2.0),))


def test_a_good_status_may_hold_an_error():
    with pytest.raises(ProviderError) as caught:
        whole(
            example("replicate"),
            {"id": "p", "status": "failed", "error": "CUDA out of memory", "output": None},
        )
    assert (caught.value.status, caught.value.message) == (500, "CUDA out of memory")

    with pytest.raises(ProviderError, match="rate limited"):
        whole(example("workers-ai"), {"success": False, "errors": [{"code": 429, "message": "rate limited"}]})


def test_an_error_is_read_by_its_places():
    error = example("tgi").decode_error(
        exchange(), reply(status=429), b'{"error":"Model is overloaded","error_type":"overloaded"}'
    )

    assert isinstance(error, ProviderError)
    assert (error.status, error.kind, error.code, error.message) == (
        503,
        "overloaded",
        "overloaded",
        "Model is overloaded",
    )


HOSTILE = [
    b"",
    b"no json",
    b"[" * 100_000,
    b'{"output":' * 2000 + b"1" + b"}" * 2000,
    b'{"output":{"text":1e999}}',
    b'{"output":{"text":' + b"9" * 5000 + b"}}",
    b'{"output":[]}',
    b'{"output":{"text":{"a":1}}}',
    b'{"output":{"text":"\\ud800"}}',
    b'"output"',
    b"null",
]


@pytest.mark.parametrize("body", HOSTILE)
def test_hostile_answers_are_a_clear_502(body):
    with pytest.raises(BadAnswer) as caught:
        whole(example("house"), body)

    assert caught.value.status == 502
    assert caught.value.code == "upstream_bad_answer"


def test_calls_without_ids_get_others_in_each_answer():
    """A conversation may hold the same call twice, and its results are told apart by their ids."""
    face = declared(**minimal(answer={"text": "/a", "tool_calls": "/calls"}, stream={"end": "[DONE]"}))
    told = {"calls": [{"name": "look"}, {"name": "look"}]}
    answers = [whole(face, told), whole(face, told), streamed(face, sse(told, "[DONE]")).answer]
    blocks = [block for answer in answers for block in answer.choices[0].content]

    assert len({block.id for block in blocks if isinstance(block, ToolCall)}) == 6


def test_huge_counts_are_none():
    answer = whole(example("house"), b'{"output":{"text":"x"},"tokens":{"in":1e300,"out":1e308}}')

    assert answer.usage is None


@pytest.mark.parametrize(
    ("kind", "asked", "found"),
    [
        ("text/event-stream", True, True),
        ("text/event-stream; charset=utf-8", False, True),
        ("application/x-ndjson", False, True),
        ("application/json", True, False),
        ("text/plain", True, True),
        ("text/plain", False, False),
        ("", True, True),
    ],
)
def test_a_stream_is_told_by_its_type(kind, asked, found):
    face = example("house")

    assert (face.stream_decoder(exchange(streamed=asked), reply(kind)) is not None) is found


def test_lines_of_json_may_say_json():
    assert example("ollama-generate").stream_decoder(exchange(streamed=True), reply()) is not None
    assert example("ollama-generate").stream_decoder(exchange(), reply()) is None
    assert example("replicate").stream_decoder(exchange(streamed=True), reply("text/event-stream")) is None


def test_failed_calls_are_not_tapped():
    assert example("house").tap(exchange(), Reply(500, Headers())) is None


# What real servers once answered.


def test_recorded_answers_are_read_whole(recordings: list[Any]) -> None:
    """Text, reason and usage, each found by hand here, beside the declared paths."""
    seen: dict[str, int] = {}
    for record, name in recordings:
        answer, face = record["response"], example(name)
        data = bytes_of(answer)
        if answer["status"] >= 300:
            error = face.decode_error(exchange(), reply(status=answer["status"]), data)
            assert error.message in str(orjson.loads(data)) != "", record["id"]
        elif "body" in answer:
            _same(whole(face, data), answer["body"], record["id"])
        else:
            kind = answer["headers"].get("content-type", "text/event-stream")
            got = streamed(face, data, kind)
            assert got.failed is None, record["id"]
            _same_stream(got.answer, [orjson.loads(line) for line in _documents(answer)], record["id"])
        seen[name] = seen.get(name, 0) + 1

    assert seen.keys() == {"ollama-generate", "cohere-v1", "completions", "writer"}
    assert sum(seen.values()) >= 40


def _documents(answer: dict[str, Any]) -> list[str]:
    pieces = answer.get("lines") or [event.partition("data:")[2] for event in answer["events"]]
    return [piece for piece in map(str.strip, pieces) if piece and piece != "[DONE]"]


def _text_of(document: dict[str, Any]) -> str:
    """Return an answer's text wherever these servers put it."""
    if "choices" in document:
        return "".join(choice.get("text") or "" for choice in document["choices"])
    return str(document.get("response") or document.get("text") or document.get("value") or "")


def _told(answer: Answer) -> str:
    blocks = [block for choice in answer.choices for block in choice.content]
    return "".join(block.text for block in blocks if isinstance(block, Text))


def _same(answer: Answer, document: dict[str, Any], name: str) -> None:
    assert _told(answer) == _text_of(document), name
    usage = document.get("usage") or document.get("meta", {}).get("tokens") or document
    into = usage.get("prompt_tokens", usage.get("input_tokens", usage.get("prompt_eval_count")))
    out = usage.get("completion_tokens", usage.get("output_tokens", usage.get("eval_count")))
    if into is not None or out is not None:
        assert answer.usage is not None, name
        assert answer.usage.total == (into or 0) + (out or 0), name


def _same_stream(answer: Answer, documents: list[dict[str, Any]], name: str) -> None:
    pieces = [each for each in documents if not each.get("is_finished")]
    if all("choices" not in each or len({c["index"] for c in each["choices"]}) <= 1 for each in pieces):
        numbers = sorted({c["index"] for each in pieces for c in each.get("choices", [])} or {0})
        if len(numbers) == 1:
            assert _told(answer) == "".join(map(_text_of, pieces)), name
    last = documents[-1]
    if "is_finished" in last:
        assert answer.usage is not None
        assert answer.usage.total == sum(last["response"]["meta"]["tokens"].values()), name
        assert _told(answer).strip() == last["response"]["text"].strip(), name
    if "eval_count" in last:
        assert answer.usage is not None
        assert answer.usage.total == last["eval_count"] + last.get("prompt_eval_count", 0), name


_ROLES: dict[str, Any] = {"CHATBOT": "assistant", "SYSTEM": "system", "USER": "user"}


def test_recorded_requests_are_such_as_would_be_sent(recordings: list[Any]) -> None:
    """What callers once sent to these servers goes out the same where the canonical form holds it."""
    checked = 0
    for record, name in recordings:
        body = (record["request"] or {}).get("body")
        if name != "cohere-v1" or body is None:
            continue
        turns = [(_ROLES[turn["role"].upper()], turn["message"]) for turn in body.get("chat_history") or ()]
        history = tuple(Message(role, (Text(said),)) for role, said in turns)
        asked = GenerateRequest(model="m", messages=(*history, Message("user", (Text(body["message"]),))))
        sent = orjson.loads(wire(example(name), asked, body["model"]).body)
        assert sent["message"] == body["message"]
        assert [turn["message"] for turn in sent.get("chat_history", [])] == [
            turn["message"] for turn in body.get("chat_history") or ()
        ]
        checked += 1

    assert checked >= 10


def test_a_gateways_error_is_one() -> None:
    assert issubclass(BadAnswer, GatewayError)
