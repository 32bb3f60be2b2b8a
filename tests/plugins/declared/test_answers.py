from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Answer, Choice, Reasoning, Text, ToolCall
from llmproxy.config import decode_struct
from llmproxy.plugin import Usage
from llmproxy_declared.answers import read_answer
from llmproxy_declared.aspects import AnswerConfig, Aspects
from llmproxy_declared.places import BadAnswer

TREE = {
    "text": "/out/text",
    "reasoning": "/out/thought",
    "tool_calls": "/out/calls",
    "finish": "/why",
    "usage": {"input": "/in"},
    "id": "/id",
    "model": "/model",
}


def read(document: object, tree: object = TREE) -> Answer:
    return read_answer(document, Aspects(decode_struct(AnswerConfig, tree, "answer")))


def test_an_answer_is_read():
    document = {
        "id": 7,
        "model": "m",
        "out": {"text": "Hi", "thought": "Hm", "calls": [{"name": "f", "arguments": {"a": 1}}]},
        "why": "max_tokens",
        "in": 3,
    }
    answer = read(document)

    call = answer.choices[0].content[2]
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("f", '{"a":1}')
    assert answer == Answer(
        id="7",
        model="m",
        choices=(Choice(content=(Reasoning("Hm"), Text("Hi"), call), finish="length", detail="max_tokens"),),
        usage=Usage(3),
    )


def test_calls_end_an_answer_that_stopped():
    answer = read({"out": {"calls": [{"name": "f"}]}, "why": "stop"})

    assert answer.choices[0].finish == "tool_calls"


def test_an_empty_answer_is_one_if_it_is_there():
    assert read({"out": {"text": ""}}).choices == (Choice(finish="stop"),)
    assert read({"why": "content_filter"}).choices[0].finish == "content_filter"


def test_several_answers_stand_in_order():
    tree = {"choices": "/c", "text": "/t"}
    answer = read({"c": [{"index": 1, "t": "b"}, {"index": 0, "t": "a"}]}, tree)

    assert [choice.content for choice in answer.choices] == [(Text("a"),), (Text("b"),)]
    with pytest.raises(BadAnswer):
        read({"c": []}, tree)


@pytest.mark.parametrize(
    "document", [{}, [], 7, None, "x", {"out": None}, {"out": {"text": None}}, {"out": {"text": 7}}]
)
def test_what_has_no_text_where_it_should_is_no_answer(document):
    with pytest.raises(BadAnswer, match=r"/out/text"):
        read(document)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda each: (
            st.lists(each, max_size=3)
            | st.dictionaries(
                st.sampled_from(["out", "text", "thought", "calls", "name", "why", "in", "id", "x"]), each
            )
        ),
        max_leaves=12,
    )
)
def test_any_document_is_an_answer_or_told_to_be_none(document):
    try:
        answer = read(document)
    except BadAnswer:
        return

    assert answer.choices[0].finish
