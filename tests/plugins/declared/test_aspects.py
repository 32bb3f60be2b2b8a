from __future__ import annotations

import pytest

from llmproxy.config import decode_struct
from llmproxy.plugin import ConfigErrors
from llmproxy_declared.aspects import AnswerConfig, Aspects
from llmproxy_declared.places import BadAnswer


def aspects(tree: object) -> Aspects:
    return Aspects(decode_struct(AnswerConfig, tree, "answer"))


def test_a_path_alone_is_that_of_the_text():
    assert aspects("/output").text.find({"output": "x"}) == "x"
    assert aspects(["/a", "/b"]).text.find({"b": "x"}) == "x"


def test_an_answer_without_choices_is_one():
    assert aspects("/a").choices({"a": 1}) == [(0, {"a": 1})]


def test_choices_have_numbers():
    read = aspects({"text": "/t", "choices": "/c"})

    assert read.choices({"c": [{"t": 1}, {"t": 2}]}) == [(0, {"t": 1}), (1, {"t": 2})]
    assert read.choices({"c": [{"index": 3}]}) == [(3, {"index": 3})]
    assert read.choices({}) == []


@pytest.mark.parametrize(
    "told", [7, "x", {}, [{}] * 1025, [{"index": -1}], [{"index": "0"}], [{"index": 10**30}]]
)
def test_what_is_no_list_of_choices_is_no_answer(told):
    with pytest.raises(BadAnswer):
        aspects({"text": "/t", "choices": "/c"}).choices({"c": told})


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "answer.text: missing"),
        ({"text": "$.a"}, "answer.text: '..a' is no path.*did you mean '/a'"),
        ({"txt": "/a"}, "answer.txt: unknown key.*did you mean 'text'"),
        ({"text": "/a", "usage": {"inputs": "/a"}}, "answer.usage.inputs: unknown key.*did you mean 'input'"),
        ({"text": "/a", "finish": {"at": "x.y"}}, "answer.finish.at: .*did you mean '/x/y'"),
        (
            {"text": "/a", "tool_calls": {"at": "/c", "name": "f"}},
            "answer.tool_calls.name: .*did you mean '/f'",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(tree, message):
    with pytest.raises(ConfigErrors, match=message):
        aspects(tree)
