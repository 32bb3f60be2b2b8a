from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.plugins.conftest import MakeExchange

from llmproxy.canonical import (
    Answer,
    Choice,
    Citation,
    CountAnswer,
    EmbedAnswer,
    GenerateRequest,
    Losses,
    Ranked,
    RerankAnswer,
    Text,
)
from llmproxy.plugin import BadField, BadRequest, ClientFace, Form, GatewayError, Headers, Reply
from llmproxy_cohere.client import CohereClient

ROOT = Path(__file__).parents[3]
ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}

client: ClientFace = CohereClient()


def body_of(reply: Reply) -> Any:
    assert isinstance(reply.body, bytes)
    return orjson.loads(reply.body)


def test_its_paths_are_claimed_and_shared_ones_by_its_sdks_header() -> None:
    claims = {claim.path: claim.header for claim in client.claims}

    assert claims["/v2/chat"] == claims["/v1/embed"] == claims["/v1/tokenize"] == ""
    assert claims["/v1/chat"] == claims["/v1/rerank"] == claims["/v1/models"] == "x-fern-sdk-name"


def test_chat_is_read_and_answered(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(body={**ASKED, "documents": [{"id": "d", "data": {"text": "x"}}]})
    client.open(exchange, exchange.body_at_hand or b"")

    request = client.decode_request(exchange, exchange.body_at_hand or b"", Losses())
    said = Text("Hi", citations=(Citation(kind="char", document=0),))
    reply = client.encode_answer(exchange, Answer(choices=(Choice(content=(said,), finish="stop"),)))

    assert isinstance(request, GenerateRequest)
    assert exchange.model == "m"
    [citation] = body_of(reply)["message"]["citations"]
    assert citation["sources"] == [{"type": "document", "id": "d", "document": {"id": "d", "text": "x"}}]


@pytest.mark.parametrize(
    ("path", "asked", "forms"),
    [
        ("/v2/embed", {"texts": ["a"], "embedding_types": ["base64"]}, {"base64"}),
        ("/v2/embed", {"texts": ["a"]}, {"float"}),
        ("/v1/embed", {"texts": ["a"], "embedding_types": ["float"]}, {"float"}),
    ],
)
def test_vectors_come_in_their_forms(
    exchange_for: MakeExchange, path: str, asked: dict[str, Any], forms: set[str]
) -> None:
    exchange = exchange_for(path, body={"model": "m", **asked})
    client.decode_request(exchange, orjson.dumps({"model": "m", **asked}), Losses())

    body = body_of(client.encode_answer(exchange, EmbedAnswer(vectors=((1.0,),))))

    assert body["embeddings"].keys() == forms
    assert body["texts"] == ["a"]


def test_the_first_apis_vectors_are_plain_lists(exchange_for: MakeExchange) -> None:
    asked = {"model": "m", "texts": ["a"]}
    exchange = exchange_for("/v1/embed", body=asked)
    client.decode_request(exchange, orjson.dumps(asked), Losses())

    assert body_of(client.encode_answer(exchange, EmbedAnswer(vectors=((1.0,),))))["embeddings"] == [[1.0]]


def test_a_ranking_is_read_and_answered(exchange_for: MakeExchange) -> None:
    asked = {"model": "m", "query": "q", "documents": ["a", "b"], "return_documents": True}
    exchange = exchange_for("/v1/rerank", body=asked)
    client.decode_request(exchange, orjson.dumps(asked), Losses())

    body = body_of(client.encode_answer(exchange, RerankAnswer(results=(Ranked(index=1, score=0.5),))))

    assert body["results"] == [{"index": 1, "relevance_score": 0.5, "document": {"text": "b"}}]


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/tokenize", "/v1/datasets"])
def test_other_calls_are_not_translated(exchange_for: MakeExchange, path: str) -> None:
    with pytest.raises(BadRequest):
        client.decode_request(exchange_for(path), b"{}", Losses())


def test_a_body_that_is_no_json_is_refused(exchange_for: MakeExchange) -> None:
    with pytest.raises(BadField):
        client.decode_request(exchange_for(), b"{", Losses())


def test_counts_have_no_place(exchange_for: MakeExchange) -> None:
    with pytest.raises(GatewayError):
        client.encode_answer(exchange_for(), CountAnswer(tokens=3))


def test_errors_end_streams_in_the_callers_words(exchange_for: MakeExchange) -> None:
    fault = GatewayError(502, "server", "Oh")

    assert client.stream_error(exchange_for(), fault).startswith(b"event: message-end")
    assert client.stream_error(exchange_for("/v1/chat"), fault).startswith(b"{")
    assert body_of(client.error(fault))["message"] == "Oh"


def test_only_chat_has_two_forms(exchange_for: MakeExchange) -> None:
    face: Any = client
    events = Reply(200, Headers.of({"Content-Type": "text/event-stream"}))

    assert face.form(exchange_for(), b"{}") == Form("cohere", "chat", False)
    assert face.form(exchange_for(), b"{}", events) == Form("cohere", "chat", True)
    assert face.form(exchange_for("/v1/chat"), b"{}").call == ""


def test_calls_have_rules_and_models_are_listed(exchange_for: MakeExchange) -> None:
    face: Any = client

    assert face.key_rules(exchange_for()).kind == "chat"
    assert face.key_rules(exchange_for("/v1/models", method="GET")) is None
    assert client.models(exchange_for("/v1/models", method="GET"), ["a"]) is not None
    assert client.reads_body(exchange_for())
    assert client.edits(b'{"messages":[]}', []) == []


def test_translation_is_loaded_by_the_first_request_that_needs_it() -> None:
    lazy = ("answers", "decoding", "encoding", "streams", "telling", "embeddings", "reranking", "retelling")
    program = f"import sys; sys.path[:0]={sys.path!r}; import llmproxy_cohere; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert not {f"llmproxy_cohere.{name}" for name in lazy} & set(loaded.split())
    assert "llmproxy.canonical" not in loaded.split()
