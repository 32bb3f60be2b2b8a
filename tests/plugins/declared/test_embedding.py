from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import EmbedRequest, Losses
from llmproxy.config import decode_struct
from llmproxy.plugin import BadRequest, ConfigErrors, Usage
from llmproxy_declared.embedding import EmbedConfig, Embedding
from llmproxy_declared.places import BadAnswer


def embedding(**config: Any) -> Embedding:
    given = {"path": "/e", "body": {"texts": "{inputs}", "d": "{dimensions}"}, "vectors": "/v", **config}
    return Embedding(decode_struct(EmbedConfig, given, "embed"))


def values(embedding: Embedding, *inputs: Any, **asked: Any) -> tuple[Any, list[str]]:
    losses = Losses()
    found = embedding.values(EmbedRequest(model="m", inputs=inputs, **asked), losses)
    return found, [loss.field for loss in losses]


def test_texts_and_what_else_is_said():
    found, lost = values(embedding(), "a", "b", dimensions=3, task="QUERY", user="ada")

    assert (found["inputs"], found["dimensions"]) == (["a", "b"], 3)
    assert lost == ["task", "user"]


def test_each_text_may_be_an_object():
    found, lost = values(embedding(each={"content": "{input}", "as": "{task}"}), "a", task="QUERY")

    assert found["inputs"] == [{"content": "a", "as": "QUERY"}]
    assert lost == []


@pytest.mark.parametrize(
    ("body", "inputs"),
    [({"t": "{input}"}, ("a", "b")), ({"t": "{inputs}"}, ((1, 2),)), ({"t": "{input}"}, ())],
)
def test_what_one_call_cannot_take_is_refused(body, inputs):
    with pytest.raises(BadRequest):
        values(embedding(body=body), *inputs)


@pytest.mark.parametrize(
    ("place", "told", "expected"),
    [
        ("/v", {"v": [[1, 2.5], [3, 4]]}, ((1.0, 2.5), (3.0, 4.0))),
        ("/v", {"v": [1, 2]}, ((1.0, 2.0),)),
        ("/d/*/e", {"d": [{"e": [1]}, {"e": [2]}]}, ((1.0,), (2.0,))),
        ("", [[1], [2]], ((1.0,), (2.0,))),
    ],
)
def test_vectors_are_read(place, told, expected):
    assert embedding(vectors=place).read(told, len(expected)).vectors == expected


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"v": None},
        {"v": "x"},
        {"v": {}},
        {"v": [["1"]]},
        {"v": [[True]]},
        {"v": [[]]},
        {"v": [[1], [2]]},
        {"v": []},
        {"v": [[float("inf")]]},
        [],
        7,
    ],
)
def test_what_holds_no_vector_for_each_text_is_no_answer(told):
    with pytest.raises(BadAnswer):
        embedding().read(told, 1)


def test_usage_and_model_are_read():
    answer = embedding(usage={"input": "/n"}, model="/m").read({"v": [[1]], "n": 4, "m": "e"}, 1)

    assert (answer.usage, answer.model) == (Usage(4), "e")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"body": {"x": 1}}, "embed.body: holds neither"),
        ({"body": {"x": "{prompt}", "y": "{inputs}"}}, "embed.body.x: {prompt} is not known"),
        ({"vectors": "$.data[*].embedding"}, "did you mean '/data/*/embedding'"),
        ({"each": {"x": "{inputs}"}}, "embed.each.x: {inputs} is not known"),
    ],
)
def test_what_cannot_work_is_told_with_its_place(config, message):
    with pytest.raises(ConfigErrors) as caught:
        embedding(**config)

    assert message in str(caught.value)
