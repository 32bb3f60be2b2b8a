"""Embeddings by Vertex's `predict`, both ways, and what they cost."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.conftest import records

from llmproxy.canonical import EmbedAnswer, EmbedRequest, Losses
from llmproxy.plugin import BadRequest, Usage, WholeTap
from llmproxy_gemini.predicting import (
    embeds,
    holds_vectors,
    predicts_vectors,
    read_instances,
    read_vectors,
    write_instances,
    write_vectors,
)
from llmproxy_gemini.usage import PREDICTED

ANSWER = {
    "predictions": [
        {"embeddings": {"values": [0.5, -1], "statistics": {"truncated": False, "token_count": 3}}},
        {"embeddings": {"values": [0.25, 1], "statistics": {"truncated": False, "token_count": 4.0}}},
    ],
    "metadata": {"billableCharacterCount": 11},
}


@pytest.fixture(scope="session")
def recorded():
    found = [record for record in records("vertex") if record["dialect"] == "vertex.predict"]
    return [record for record in found if record["response"]["status"] == 200]


def losses():
    return Losses({})


def test_recorded_calls_are_read_both_ways(recorded):
    assert recorded
    for record in recorded:
        told, body = record["request"]["body"], record["response"]["body"]
        assert embeds(told)
        request = read_instances("m", told, losses())
        assert write_instances(request, losses())["instances"] == told["instances"]
        assert holds_vectors(body)
        answer = read_vectors(body)
        tokens = [each["embeddings"]["statistics"]["token_count"] for each in body["predictions"]]
        tap = WholeTap(PREDICTED)
        tap.feed(orjson.dumps(body))
        tap.end()
        assert answer.usage == tap.usage == Usage(sum(tokens))


@given(
    st.lists(st.text(max_size=5), min_size=1, max_size=3),
    st.none() | st.integers(1, 999),
    st.sampled_from(["", "RETRIEVAL_QUERY"]),
    st.sampled_from(["", "A title"]),
)
def test_what_is_written_is_read_as_it_was(texts, dimensions, task, title):
    request = EmbedRequest(
        model="m", inputs=tuple(texts), single=len(texts) == 1, dimensions=dimensions, task=task, title=title
    )

    assert read_instances("m", write_instances(request, losses()), losses()) == request


def test_vectors_and_their_tokens_come_back():
    answer = read_vectors(ANSWER)

    assert answer == EmbedAnswer(vectors=((0.5, -1), (0.25, 1)), usage=Usage(7))
    assert read_vectors(write_vectors(answer)) == answer
    assert write_vectors(EmbedAnswer(vectors=((1,),)))["predictions"] == [{"embeddings": {"values": [1]}}]


def test_what_has_no_place_is_told():
    told = {
        "instances": [{"content": "a", "other": 1}],
        "parameters": {"autoTruncate": False, "more": 1},
        "labels": {"a": "b"},
    }
    lost = losses()
    read_instances("m", told, lost)

    assert sorted(each.field for each in lost) == ["instances[].other", "labels", "parameters.more"]


@pytest.mark.parametrize(
    "told",
    [
        {"instances": [{"content": 5}]},
        {"instances": [{"content": "a"}, {"content": "b", "task_type": "RETRIEVAL_QUERY"}]},
        {"instances": [{"content": "a"}], "parameters": {"outputDimensionality": "x"}},
        {"instances": []},
    ],
)
def test_what_cannot_be_asked_of_others_is_refused(told):
    with pytest.raises(BadRequest):
        read_instances("m", told, losses())


def test_token_ids_are_refused():
    with pytest.raises(BadRequest):
        write_instances(EmbedRequest(model="m", inputs=((1, 2),)), losses())


@pytest.mark.parametrize(
    "told", [{"predictions": [{"embeddings": {}}]}, {"predictions": [{"embeddings": {"values": ["x"]}}]}]
)
def test_what_is_no_vector_is_not_read(told):
    with pytest.raises(ValueError, match="vector"):
        read_vectors(told)


@pytest.mark.parametrize(
    ("told", "vectors"),
    [
        ({}, False),
        ({"predictions": []}, False),
        ({"predictions": [{"bytesBase64Encoded": ""}]}, False),
        (ANSWER, True),
    ],
)
def test_predictions_are_told_apart(told, vectors):
    assert holds_vectors(told) is vectors


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"instances": [{"prompt": "x"}]}, False),
        ({"instances": []}, False),
        ({}, False),
        ({"instances": [{"content": 1}]}, True),
    ],
)
def test_requests_are_told_apart(told, expected):
    assert embeds(told) is expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("text-embedding-005", True),
        ("text-multilingual-embedding-002", True),
        ("gemini-embedding-001", True),
        ("publishers/google/models/gemini-embedding-001", True),
        ("gemini-embedding-2-preview", False),
    ],
)
def test_models_are_asked_as_they_are_served(model, expected):
    assert predicts_vectors(model) is expected


@given(st.binary(max_size=60))
def test_a_tap_takes_anything(data):
    tap = WholeTap(PREDICTED)
    tap.feed(data)
    tap.end()
    assert tap.usage is None or tap.usage.total >= 0
