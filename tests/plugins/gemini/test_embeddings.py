from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import EmbedAnswer, EmbedRequest, Losses
from llmproxy.plugin import BadRequest, Usage
from llmproxy_gemini.embeddings import read_batch, read_embed, read_vectors, write_embed, write_vectors

CONTENT = {"parts": [{"text": "Hi"}]}


def test_one_content_is_a_single_one() -> None:
    losses = Losses()
    told = {"content": CONTENT, "taskType": "RETRIEVAL_QUERY", "title": "t", "outputDimensionality": 3}

    request = read_embed("m", told, losses)

    assert request == EmbedRequest(
        model="m", inputs=("Hi",), single=True, task="RETRIEVAL_QUERY", title="t", dimensions=3
    )
    assert write_embed(request, "m", losses) == {"model": "models/m", **told}
    assert not losses


def test_a_batch_is_of_many() -> None:
    losses = Losses()
    requests = [{"model": "models/m", "content": {"parts": [{"text": text}]}} for text in "ab"]

    request = read_batch("m", {"requests": requests}, losses)

    assert request == EmbedRequest(model="m", inputs=("a", "b"))
    assert write_embed(request, "m", losses) == {"requests": requests}


def test_parts_are_put_into_one_text_and_told_of() -> None:
    losses = Losses()

    request = read_embed("m", {"content": {"parts": [{"text": "a"}, {"text": "b"}]}}, losses)

    assert request.inputs == ("a\nb",)
    assert [loss.field for loss in losses] == ["content.parts[]"]


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"requests": [{}]},
        {"requests": [3]},
        {"requests": [{"content": CONTENT}, {"content": CONTENT, "taskType": "X"}]},
        {"requests": [{"content": 3}]},
    ],
)
def test_a_batch_that_cannot_be_one_call_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        read_batch("m", told, Losses())


def test_token_ids_are_refused_and_users_lost() -> None:
    losses = Losses()

    with pytest.raises(BadRequest):
        write_embed(EmbedRequest(model="m", inputs=((1, 2),), user="u"), "m", losses)
    assert "user" in losses


@pytest.mark.parametrize("single", [True, False])
def test_vectors_go_both_ways(single: bool) -> None:
    answer = EmbedAnswer(vectors=((0.5, 1.0),), usage=Usage(3))

    assert read_vectors(write_vectors(answer, single=single)) == answer


@pytest.mark.parametrize(
    "told", [{}, {"embeddings": 3}, {"embeddings": [3]}, {"embedding": {"values": ["x"]}}]
)
def test_what_holds_no_vectors_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="embedding"):
        read_vectors(told)
