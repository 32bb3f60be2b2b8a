from __future__ import annotations

import pytest

from llmproxy.config import decode_struct
from llmproxy_declared.places import BadAnswer
from llmproxy_declared.toolcalls import Call, ToolCallReader, ToolCallsConfig, made_up_id


def reader(tree: object) -> ToolCallReader:
    return ToolCallReader(decode_struct(ToolCallsConfig, tree, "tool_calls"))


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"id": "1", "function": {"name": "f", "arguments": '{"a":1}'}}, Call("1", "f", '{"a":1}', None)),
        ({"name": "f", "parameters": {"a": 1}}, Call("", "f", '{"a":1}', None)),
        ({"name": "f"}, Call("", "f", "", None)),
        ({"name": "f", "arguments": None, "input": {}}, Call("", "f", "{}", None)),
    ],
)
def test_a_call_is_read_in_any_usual_shape(item, expected):
    assert reader("/calls").read({"calls": [item]}) == [expected]
    assert reader("/calls").read({"calls": item}) == [expected]


def test_nothing_is_no_call():
    assert reader("/calls").read({}) == []
    assert reader("/calls").read({"calls": None}) == []
    assert ToolCallReader(None).read({"tool_calls": [{"name": "f"}]}) == []


@pytest.mark.parametrize(
    "told",
    ["x", 7, ["x"], [{}], [{"name": ""}], [{"name": "f", "arguments": 7}], [{"name": "f"}] * 1025, True],
)
def test_what_is_no_list_of_calls_is_no_answer(told):
    with pytest.raises(BadAnswer):
        reader("/calls").read({"calls": told})


def test_a_piece_has_its_index():
    pieces = reader({"at": "/calls", "index": "/index"})

    assert pieces.pieced
    assert pieces.read({"calls": [{"index": 2, "arguments": "{"}]}) == [Call("", "", "{", 2)]
    with pytest.raises(BadAnswer, match="without its index"):
        pieces.read({"calls": [{"name": "f"}]})


def test_the_same_call_gets_the_same_id():
    assert made_up_id("a", 0, "f") == made_up_id("a", 0, "f") != made_up_id("a", 1, "f")
