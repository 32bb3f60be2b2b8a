from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest
from tests.plugins.conftest import whole

from llmproxy.canonical import EmbedAnswer, EmbedRequest, Losses
from llmproxy.plugin import BadField, BadRequest, Usage
from llmproxy_cohere.embeddings import (
    decode_embed,
    decode_vectors,
    encode_embed,
    encode_vectors,
    types_of,
)

from .conftest import asked


def decoded(body: dict[str, Any]) -> tuple[EmbedRequest, list[str]]:
    losses = Losses()
    request = decode_embed({"model": "m", **body}, losses)
    return request, [loss.field for loss in losses]


def test_texts_are_for_something() -> None:
    request, lost = decoded(
        {
            "texts": ["a", "b"],
            "input_type": "search_query",
            "output_dimension": 256,
            "embedding_types": ["float"],
        }
    )

    assert request == EmbedRequest(model="m", inputs=("a", "b"), dimensions=256, task="RETRIEVAL_QUERY")
    assert lost == []


def test_inputs_of_text_are_texts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    assert decoded({"inputs": [{"content": parts}]})[0].inputs == ("a\nb",)


@pytest.mark.parametrize(
    "body",
    [
        {"images": ["data:image/png;base64,aGk="]},
        {"inputs": [{"content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
        {"texts": ["a"], "embedding_types": ["int8"]},
        {"texts": []},
        {"texts": [1]},
    ],
)
def test_what_only_cohere_embeds_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises((BadRequest, BadField)):
        decoded(body)


def test_what_has_no_place_is_told_of() -> None:
    assert decoded({"texts": ["a"], "truncate": "START", "max_tokens": 9})[1] == ["truncate", "max_tokens"]


@pytest.mark.parametrize(
    ("task", "kind"),
    [("", "search_document"), ("RETRIEVAL_QUERY", "search_query"), ("SEMANTIC_SIMILARITY", "clustering")],
)
def test_what_vectors_are_for_is_always_said(task: str, kind: str) -> None:
    body = encode_embed(EmbedRequest(model="m", inputs=("a",), task=task, dimensions=9), "n", Losses())

    assert body == {
        "model": "n",
        "input_type": kind,
        "embedding_types": ["float"],
        "output_dimension": 9,
        "texts": ["a"],
    }


def test_tokens_are_no_texts() -> None:
    with pytest.raises(BadRequest):
        encode_embed(EmbedRequest(model="m", inputs=((1, 2),)), "n", Losses())


def test_vectors_are_read_from_both_apis() -> None:
    meta = {"billed_units": {"input_tokens": 3}}

    told = decode_vectors({"embeddings": {"float": [[1, 0.5]]}, "meta": meta})
    assert told == EmbedAnswer(vectors=((1.0, 0.5),), usage=Usage(3))
    assert decode_vectors({"embeddings": [[1, 0.5]]}).vectors == ((1.0, 0.5),)
    for broken in ({}, {"embeddings": {"int8": [[1]]}}, {"embeddings": [["x"]]}):
        with pytest.raises(ValueError, match="number"):
            decode_vectors(broken)


def test_vectors_are_written_in_the_forms_that_were_asked_for() -> None:
    answer = EmbedAnswer(vectors=((1.0, -0.5, 0.25),), usage=Usage(3))

    body = encode_vectors(answer, "e1", ("float", "base64", "binary", "ubinary"), ["a"])

    assert body["response_type"] == "embeddings_by_type"
    assert body["embeddings"] == {
        "float": [[1.0, -0.5, 0.25]],
        "base64": [base64.b64encode(struct.pack("<3f", 1.0, -0.5, 0.25)).decode()],
        "binary": [[0b10100000 - 128]],
        "ubinary": [[0b10100000]],
    }
    assert body["meta"]["billed_units"] == {"input_tokens": 3}
    assert encode_vectors(answer, "e1", (), ["a"])["embeddings"] == [[1.0, -0.5, 0.25]]


def test_golden_every_recorded_call_is_read_and_written_again(recordings: list[dict[str, Any]]) -> None:
    for record, body in asked(recordings, "cohere.embed"):
        losses = Losses()
        written = encode_embed(decode_embed(body, losses), body["model"], losses)
        said = {key: value for key, value in body.items() if value is not None and key != "truncate"}
        assert written == said, record["id"]
        assert types_of(body) == ("float",)
    for record, data in whole(recordings, "cohere.embed"):
        told = orjson.loads(data)
        answer = decode_vectors(told)
        assert [list(vector) for vector in answer.vectors] == told["embeddings"]["float"], record["id"]
        assert answer.usage == Usage(told["meta"]["billed_units"]["input_tokens"])
