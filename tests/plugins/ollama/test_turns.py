from __future__ import annotations

import pytest

from llmproxy.canonical import Losses, Message, Reasoning, Text, ToolCall, ToolResult
from llmproxy.plugin import BadRequest
from llmproxy_ollama.turns import Turns

from .conftest import CALL


def read(*messages):
    losses = Losses()
    turns = Turns(losses)
    for place, message in enumerate(messages):
        turns.take(message, f"messages[{place}].")
    return turns, [loss.field for loss in losses]


def test_first_instructions_stand_apart_and_later_ones_in_their_place():
    turns, lost = read(
        {"role": "system", "content": "a"},
        {"role": "system", "content": ""},
        {"role": "user", "content": "b"},
        {"role": "system", "content": "c"},
    )

    assert turns.system == [Text(text="a")]
    assert [message.role for message in turns.messages] == ["user", "system"]
    assert not lost


def test_thoughts_stand_before_text_and_calls():
    turns, _ = read({"role": "assistant", "content": "b", "thinking": "a", "tool_calls": [CALL]})

    call = ToolCall(id="call_1", name="look", arguments='{"city":"Rome"}')
    assert turns.messages == [Message(role="assistant", content=(Reasoning(text="a"), Text(text="b"), call))]


def test_results_of_one_turn_are_one_turn_and_find_their_calls():
    bare = {"function": {"name": "look", "arguments": {}}}
    turns, _ = read(
        {"role": "assistant", "content": "", "tool_calls": [bare, bare]},
        {"role": "tool", "content": "sun", "tool_name": "look"},
        {"role": "tool", "content": "rain"},
    )
    one, two = (block.id for block in turns.messages[0].content)

    assert one != two
    assert turns.messages[1].content == (
        ToolResult(id=one, name="look", content=(Text(text="sun"),)),
        ToolResult(id=two, name="look", content=(Text(text="rain"),)),
    )


def test_a_result_may_name_its_call():
    turns, _ = read(
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "sun", "tool_call_id": "call_1"},
    )

    assert turns.messages[1].content[0].id == "call_1"


def test_pictures_stand_behind_the_text():
    turns, lost = read({"role": "user", "content": "a", "images": ["iVBORw0KGgo"]})

    assert [type(block).__name__ for block in turns.messages[0].content] == ["Text", "Image"]
    assert not lost
    assert read({"role": "assistant", "content": "a", "images": ["x"]})[1] == ["messages[].images[]"]


def test_what_is_empty_says_nothing():
    assert read({"role": "user", "content": ""}, {"role": "assistant"})[0].messages == []


def test_unknown_members_are_reported():
    assert read({"role": "user", "content": "a", "mood": "good"})[1] == ["messages[].mood"]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "robot"},
        {},
        {"role": "user", "content": []},
        {"role": "user", "images": [1]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "x", "arguments": []}}]},
        {"role": "assistant", "tool_calls": [{"function": 1}]},
        {"role": "assistant", "tool_calls": {}},
    ],
)
def test_what_is_broken_is_refused(message):
    with pytest.raises(BadRequest):
        read(message)
