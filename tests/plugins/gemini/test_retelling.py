"""Gemini's answers in their other forms."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.conftest import read_exchange
from tests.plugins.retold import both_ways

from llmproxy.plugin import Form, Headers, Reply, Untellable
from llmproxy_gemini.client import GeminiClient
from llmproxy_gemini.retelling import retell

WHOLE = Form("gemini", "generate")
STREAM = WHOLE._replace(streamed=True)
LIST = STREAM._replace(manner="array")


def answer(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}
    head = {"modelVersion": "gemini-x", "responseId": "r1"}
    return {"candidates": [candidate | more.pop("candidate", {})], "usageMetadata": usage, **head, **more}


def stream_of(*chunks: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\r\n\r\n" % orjson.dumps(chunk) for chunk in chunks)


def piece(*parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0}],
        "responseId": "r1",
    }


PARTS = [
    {"text": "Hello"},
    {"text": "hm", "thought": True},
    {"text": "Hello", "thoughtSignature": "c2ln"},
    {"functionCall": {"name": "look", "args": {"city": "Rome"}}, "thoughtSignature": "c2ln"},
    {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
    {"executableCode": {"language": "PYTHON", "code": "1"}},
]


@pytest.mark.parametrize("other", [STREAM, LIST], ids=["events", "array"])
def test_an_answer_comes_back_from_a_stream_as_it_was(other):
    whole = answer(
        *PARTS, candidate={"groundingMetadata": {"webSearchQueries": ["q"]}}, a_member_of_tomorrow=1
    )
    told = retell(orjson.dumps(whole), WHOLE, other)

    assert orjson.loads(retell(told, other, WHOLE)) == whole


def test_events_become_an_array_and_an_array_events():
    chunks = [piece({"text": "a"}), answer({"text": "b"})]
    array = retell(stream_of(*chunks), STREAM, LIST)

    assert orjson.loads(array) == chunks
    assert retell(array, LIST, STREAM) == stream_of(*chunks)


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=6), st.text(min_size=1, max_size=6))
def test_whatever_was_said_in_pieces_is_said_whole(pieces, thought):
    chunks = [piece({"text": letter, "thought": True}) for letter in thought]
    chunks += [piece({"text": said}) for said in pieces]
    last = answer({"text": "", "thoughtSignature": "c2ln"})

    assert orjson.loads(retell(stream_of(*chunks, last), STREAM, WHOLE)) == answer(
        {"text": thought, "thought": True}, {"text": "".join(pieces), "thoughtSignature": "c2ln"}
    )


def test_what_two_chunks_say_otherwise_is_not_put_together():
    chunks = [piece({"text": "a"}) | {"mood": 1}, answer({"text": "b"}, mood=2)]
    with pytest.raises(Untellable, match="its mood is told in pieces that are not known"):
        retell(stream_of(*chunks), STREAM, WHOLE)


@pytest.mark.parametrize(
    "stream",
    [
        stream_of(piece({"text": "a"})),
        stream_of(piece({"text": "a"}), {"error": {"code": 503}}),
        stream_of(answer({"functionCall": {"name": "f", "willContinue": True}}), answer({"text": "a"})),
        b"",
    ],
)
def test_a_stream_that_is_not_whole_is_not_told(stream):
    with pytest.raises(Untellable):
        retell(stream, STREAM, WHOLE)


@pytest.mark.parametrize(
    ("target", "form"),
    [
        ("/v1beta/models/m:generateContent", WHOLE),
        ("/v1beta/models/m:streamGenerateContent?alt=sse", STREAM),
        ("/v1beta/models/m:streamGenerateContent", LIST),
        ("/v1beta/models/m:countTokens", Form("gemini", "count")),
        ("/v1beta/files", Form("gemini")),
    ],
)
def test_the_form_is_told_by_the_path(target, form):
    face = GeminiClient()
    exchange = read_exchange(face, target, {})

    assert face.form(exchange, b"") == form


def test_who_asked_for_events_and_got_none_has_a_whole_answer():
    face = GeminiClient()
    exchange = read_exchange(face, "/v1beta/models/m:streamGenerateContent?alt=sse", {})
    reply = Reply(200, Headers([(b"Content-Type", b"application/json")]), b"{}")

    assert face.form(exchange, b"", reply) == WHOLE


@pytest.mark.shared
def test_every_recorded_answer_means_the_same_in_its_other_form_and_back(judge):
    found = both_ways(judge, "gemini", {"gemini.generate", "gemini.stream"}, WHOLE, retell)

    assert found.pop("equal") >= 400
    assert found == {"a call of it comes in pieces": 2, "it has no end": 1}
