from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import EmbedAnswer, EmbedRequest, Losses
from llmproxy.plugin import BadField, Quirks, Usage
from llmproxy_openai.embeddings import (
    decode_embeddings,
    encode_embeddings,
    encode_request,
    read_embeddings,
)

INPUTS = st.lists(
    st.text(min_size=1) | st.lists(st.integers(0, 99), min_size=1).map(tuple), min_size=1, max_size=4
)


@given(INPUTS, st.none() | st.integers(1, 99), st.sampled_from(["", "u"]))
def test_a_request_comes_back_as_it_went(inputs: list[Any], dimensions: int | None, user: str) -> None:
    request = EmbedRequest(model="m", inputs=tuple(inputs), dimensions=dimensions, user=user)
    losses = Losses()
    body = orjson.loads(orjson.dumps(encode_request(request, "m", Quirks(), losses)))

    assert decode_embeddings(body, losses) == request
    assert len(losses) == 0


@given(
    st.lists(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=3).map(tuple),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
def test_vectors_come_back_as_they_went(vectors: list[Any], packed: bool) -> None:
    answer = EmbedAnswer(model="m", vectors=tuple(vectors), usage=Usage(7))
    body = orjson.loads(orjson.dumps(encode_embeddings(answer, "", packed=packed)))

    assert read_embeddings(body) == answer


@pytest.mark.parametrize(
    ("given_", "inputs"),
    [("a", ("a",)), (["a", "b"], ("a", "b")), ([1, 2], ((1, 2),)), ([[1], [2, 3]], ((1,), (2, 3)))],
)
def test_texts_and_tokens_are_read(given_: Any, inputs: Any) -> None:
    assert decode_embeddings({"model": "m", "input": given_}, Losses()).inputs == inputs


@pytest.mark.parametrize("given_", [None, [], 7, [None], [[]], ["a", 1], [1, "a"], {}])
def test_what_is_neither_is_refused(given_: Any) -> None:
    with pytest.raises(BadField, match="'input' must be"):
        decode_embeddings({"model": "m", "input": given_}, Losses())


def test_vectors_stand_in_the_order_of_their_texts() -> None:
    data = [{"index": 1, "embedding": [1]}, {"index": 0, "embedding": [0]}]

    assert read_embeddings({"data": data}).vectors == ((0.0,), (1.0,))


def test_what_is_not_carried_is_told() -> None:
    losses = Losses()
    decode_embeddings({"model": "m", "input": "a", "input_type": "x", "encoding_format": "int8"}, losses)
    asked = EmbedRequest(model="m", inputs=("a",), task="RETRIEVAL_QUERY", title="t", dimensions=3)
    encode_request(asked, "m", Quirks(refused=("dimensions",)), losses)

    assert [loss.field for loss in losses] == ["input_type", "encoding_format", "dimensions", "task", "title"]


def test_voyages_own_words_are_read() -> None:
    losses = Losses()
    said = {"input_type": "query", "output_dimension": 256, "truncation": True, "output_dtype": None}

    asked = decode_embeddings({"model": "m", "input": ["a"], **said}, losses)

    assert asked == EmbedRequest(model="m", inputs=("a",), dimensions=256, task="RETRIEVAL_QUERY")
    assert list(losses) == []


def test_what_voyage_does_otherwise_is_told_of() -> None:
    losses = Losses()
    decode_embeddings({"model": "m", "input": "a", "truncation": False, "output_dtype": "int8"}, losses)

    assert [loss.field for loss in losses] == ["truncation", "output_dtype"]


@pytest.mark.parametrize(
    ("extras", "written"),
    [
        (("output_dimension", "input_type"), {"output_dimension": 3, "input_type": "document"}),
        (("task",), {"dimensions": 3, "task": "retrieval.passage"}),
    ],
)
def test_what_vectors_are_for_is_said_in_the_providers_words(
    extras: tuple[str, ...], written: dict[str, Any]
) -> None:
    losses = Losses()
    asked = EmbedRequest(model="m", inputs=("a",), task="RETRIEVAL_DOCUMENT", dimensions=3)

    assert encode_request(asked, "n", Quirks(extras=extras), losses) == {
        "model": "n",
        "input": ["a"],
        **written,
    }
    assert list(losses) == []


@pytest.mark.shared
def test_every_recorded_embedding_is_read(recordings: list[dict[str, Any]]) -> None:
    read = 0
    for record in recordings:
        body = record["response"].get("body")
        if record["dialect"] == "openai.embeddings" and isinstance(body, dict) and body.get("data"):
            answer = read_embeddings(body)
            asked = decode_embeddings(record["request"]["body"], Losses())
            assert len(answer.vectors) == len(asked.inputs)
            read += 1

    assert read > 10
