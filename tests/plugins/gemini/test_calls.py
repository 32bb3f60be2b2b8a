from __future__ import annotations

from types import ModuleType
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.conftest import MakeExchange, whole

from llmproxy.canonical import (
    Answer,
    CountAnswer,
    CountRequest,
    EmbedAnswer,
    EmbedRequest,
    GenerateRequest,
    Losses,
    Message,
    ModelRequest,
    Text,
)
from llmproxy.plugin import BadRequest, Endpoint, ProviderError
from llmproxy_gemini.calls import decode_answer, decode_call, encode_answer, encode_call
from llmproxy_gemini.paths import call_of

from .conftest import asked, made_exchange

HI = (Message(role="user", content=(Text(text="Hi"),)),)


def decode(target: str, body: bytes, losses: Losses) -> ModelRequest:
    exchange = made_exchange(target, body)
    call = call_of(exchange.request.path)
    assert call is not None
    return decode_call(exchange, call, body, losses)


@pytest.mark.parametrize(
    ("verb", "body", "kind"),
    [
        ("generateContent", b'{"contents":"Hi"}', GenerateRequest),
        ("streamGenerateContent", b'{"contents":"Hi"}', GenerateRequest),
        ("countTokens", b'{"contents":"Hi"}', CountRequest),
        ("embedContent", b'{"content":"Hi"}', EmbedRequest),
        ("batchEmbedContents", b'{"requests":[{"content":"Hi"}]}', EmbedRequest),
        ("predict", b'{"instances":[{"content":"Hi"}]}', EmbedRequest),
    ],
)
def test_the_verb_says_what_a_body_is(verb: str, body: bytes, kind: type[ModelRequest]) -> None:
    request = decode(f"/v1/models/a/b:{verb}", body, Losses())

    assert isinstance(request, kind)
    assert request.model == "a/b"
    if isinstance(request, GenerateRequest):
        assert request.streamed is (verb == "streamGenerateContent")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"[]", "invalid_type"),
        (b'{"contents":', "invalid_json"),
        (b'{"tools":' + b'{"a":' * 2000 + b"1" + b"}" * 2001, "invalid_json"),
        (
            b'{"contents":[{"parts":[{"functionCall":{"name":"f","args":'
            + b'{"a":' * 600
            + b"1"
            + b"}" * 600
            + b"}}]}]}",
            "too_complex",
        ),
    ],
)
def test_a_broken_body_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode("/v1/models/m:generateContent", body, Losses())

    assert refused.value.code == code


def test_a_compressed_body_is_refused() -> None:
    exchange = made_exchange(headers={"Content-Encoding": "gzip"})
    call = call_of(exchange.request.path)
    assert call is not None

    with pytest.raises(BadRequest) as refused:
        decode_call(exchange, call, b"", Losses())
    assert refused.value.status == 415


@pytest.mark.parametrize(
    ("request_", "target"),
    [
        (GenerateRequest(model="m", messages=HI), "/models/g:generateContent"),
        (GenerateRequest(model="m", messages=HI, streamed=True), "/models/g:streamGenerateContent?alt=sse"),
        (CountRequest(request=GenerateRequest(model="m", messages=HI)), "/models/g:countTokens"),
        (EmbedRequest(model="m", inputs=("a",), single=True), "/models/g:embedContent"),
        (EmbedRequest(model="m", inputs=("a",)), "/models/g:batchEmbedContents"),
    ],
)
def test_each_request_has_its_call(exchange_for: MakeExchange, request_: ModelRequest, target: str) -> None:
    headers = {"Authorization": "Bearer s", "x-trace": "1", "Content-Type": "text/x"}

    wire = encode_call(exchange_for(headers=headers), Endpoint("up", "g"), request_, Losses())

    assert (wire.method, wire.target) == ("POST", target)
    assert [name for name, _ in wire.headers] == ["x-trace", "Content-Type", "Accept"]
    assert wire.headers.get("content-type") == "application/json"


def test_vertex_is_told_the_publisher(exchange_for: MakeExchange) -> None:
    request = GenerateRequest(model="m", messages=HI)

    wire = encode_call(
        exchange_for(), Endpoint("up"), request, Losses(), vertex=True, publisher="publishers/google/"
    )

    assert wire.target == "/publishers/google/models/m:generateContent"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"candidates":[]}', Answer),
        (b'[{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}]', Answer),
        (b'{"totalTokens":3}', CountAnswer),
        (b'{"embedding":{"values":[0.5]}}', EmbedAnswer),
        (b'{"embeddings":[{"values":[0.5]}]}', EmbedAnswer),
    ],
)
def test_an_answer_says_itself_what_it_is(body: bytes, kind: type[object]) -> None:
    answer = decode_answer(body)

    assert isinstance(answer, kind)
    assert encode_answer(answer).status == 200


@pytest.mark.parametrize("body", [b'{"error":{"code":503}}', b'[{"error":{"code":503}}]'])
def test_an_error_in_a_good_status_is_raised(body: bytes) -> None:
    with pytest.raises(ProviderError) as failed:
        decode_answer(body)

    assert failed.value.status == 503


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"3",
        b"{}",
        b"[]",
        b'[{"candidates":[]}]',
        b'{"candidates":[{"content":{"parts":[{"functionCall":{"args":3}}]}}]}',
    ],
)
def test_what_is_no_answer_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_answer(body)


KEYS = [
    "contents",
    "role",
    "parts",
    "text",
    "thought",
    "thoughtSignature",
    "inlineData",
    "mimeType",
    "data",
    "fileData",
    "fileUri",
    "functionCall",
    "name",
    "args",
    "functionResponse",
    "response",
    "tools",
    "functionDeclarations",
    "parameters",
    "toolConfig",
    "functionCallingConfig",
    "mode",
    "generationConfig",
    "thinkingConfig",
    "stopSequences",
    "responseSchema",
    "systemInstruction",
    "labels",
    "content",
    "requests",
    "generateContentRequest",
    "candidates",
    "finishReason",
    "usageMetadata",
    "promptTokenCount",
    "groundingMetadata",
    "groundingChunks",
    "citationMetadata",
    "citations",
    "logprobsResult",
    "chosenCandidates",
    "totalTokens",
    "embedding",
    "values",
    "error",
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)


@given(JSON, st.sampled_from(["generateContent", "countTokens", "embedContent", "batchEmbedContents"]))
def test_whatever_is_asked_nothing_but_a_refusal_comes_out(told: Any, verb: str) -> None:
    try:
        decode(f"/v1/models/m:{verb}", orjson.dumps(told), Losses())
    except BadRequest:
        return


@given(JSON)
def test_whatever_is_answered_nothing_but_the_documented_errors_comes_out(told: Any) -> None:
    try:
        decode_answer(orjson.dumps(told))
    except (ValueError, ProviderError):
        return


def test_recorded_requests_mean_the_same_written_anew(recordings: list[dict[str, Any]]) -> None:
    for record, target, body in asked(recordings):
        if b'"cachedContent"' in body:
            continue
        losses = Losses()
        request = decode(target, body, losses)
        wire = encode_call(made_exchange(), Endpoint("up", record["model"]), request, losses)
        assert isinstance(wire.body, bytes)

        again = decode("/v1" + wire.target, wire.body, losses)

        if isinstance(request, GenerateRequest):
            # A tier and labels are for one provider; all else must be there.
            request = msgspec.structs.replace(request, metadata=None)
        assert again == request, record["id"]


def test_recorded_requests_mean_the_same_to_the_judge(
    recordings: list[dict[str, Any]], judge: ModuleType
) -> None:
    compared = 0
    for record, target, body in asked(recordings):
        if record["dialect"] not in ("gemini.generate", "gemini.stream") or b'"cachedContent"' in body:
            continue
        request = decode(target, body, Losses())
        wire = encode_call(made_exchange(), Endpoint("up", record["model"]), request, Losses())
        want = judge.parse_request(record["dialect"], orjson.loads(body), target, record["stream"])
        have = judge.parse_request(record["dialect"], orjson.loads(wire.body), wire.target)  # type: ignore[arg-type]

        if not want.beyond:
            compared += 1
            assert judge.compare_requests(want, have) == [], record["id"]
    assert compared > 100


def test_recorded_answers_come_back(recordings: list[dict[str, Any]], judge: ModuleType) -> None:
    for record, body in whole(recordings, "gemini.generate"):
        answer = decode_answer(body)
        reply = encode_answer(answer)
        assert isinstance(reply.body, bytes)
        told = {"status": 200, "headers": {}, "body": orjson.loads(reply.body)}

        assert decode_answer(reply.body) == answer, record["id"]
        truth = judge.parse_response(record["dialect"], record["response"])
        got = judge.parse_response(record["dialect"], told)
        assert judge.compare(truth, got, "gemini", "full", translated=False)[0] == [], record["id"]
        assert judge.shape_problems("gemini", told) == []


def test_recorded_counts_and_vectors_come_back(recordings: list[dict[str, Any]]) -> None:
    for record, body in whole(recordings, "gemini.count", "gemini.embed"):
        told = orjson.loads(body)
        told.get("usageMetadata", {}).pop("promptTokenDetails", None)

        again = orjson.loads(encode_answer(decode_answer(body)).body)  # type: ignore[arg-type]

        assert {key: told.get(key) for key in again} == again, record["id"]


def test_vertex_predicts_vectors_and_tells_them_as_predictions() -> None:
    exchange = made_exchange("/v1/chat/completions", b"{}")
    request = EmbedRequest(model="m", inputs=("a", "b"))
    by_verb = {}
    for model in ("text-embedding-005", "gemini-embedding-2"):
        wire = encode_call(
            exchange, Endpoint("x", model), request, Losses(), vertex=True, publisher="publishers/google/"
        )
        assert wire is not None
        by_verb[wire.target.rpartition(":")[2]] = wire.body
    answer = EmbedAnswer(vectors=((1.0,), (2.0,)))

    assert by_verb["predict"] == b'{"instances":[{"content":"a"},{"content":"b"}]}'
    assert "batchEmbedContents" in by_verb
    assert decode_answer(encode_answer(answer, "predict").body) == answer  # type: ignore[arg-type]
