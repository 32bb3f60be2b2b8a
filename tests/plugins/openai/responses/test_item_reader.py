from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import Foreign, Losses, Message, Reasoning, Text, ToolCall, ToolResult
from llmproxy.plugin import BadField
from llmproxy_openai.responses.item_reader import read_input

HELLO = {"role": "user", "content": "hello"}
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a":1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "42"}


def read(*items: Any, losses: Losses | None = None) -> tuple[Message, ...]:
    return read_input(list(items), losses if losses is not None else Losses()).messages


def test_a_text_is_what_the_user_says() -> None:
    assert read_input("hi", Losses()).messages == (Message(role="user", content=(Text(text="hi"),)),)
    assert read_input(None, Losses()).messages == ()


def test_a_loop_of_tools_becomes_turns() -> None:
    messages = read(HELLO, CALL, OUTPUT, {"type": "message", "role": "assistant", "content": "done"})

    assert messages == (
        Message(role="user", content=(Text(text="hello"),)),
        Message(role="assistant", content=(ToolCall(id="c1", name="look", arguments='{"a":1}'),)),
        Message(role="user", content=(ToolResult(id="c1", name="look", content=(Text(text="42"),)),)),
        Message(role="assistant", content=(Text(text="done"),)),
    )


@pytest.mark.parametrize("arguments", ["", None, {}])
def test_no_arguments_are_an_empty_object(arguments: Any) -> None:
    assert read({**CALL, "arguments": arguments})[0].content == (ToolCall(id="c1", name="look"),)


def test_a_custom_tools_call_is_a_functions_with_one_argument() -> None:
    call = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** Begin"}
    messages = read(call, {"type": "custom_tool_call_output", "call_id": "c", "output": "done"})

    assert messages[0].content == (ToolCall(id="c", name="patch", arguments='{"input":"*** Begin"}'),)
    assert messages[1].content == (ToolResult(id="c", name="patch", content=(Text(text="done"),)),)


def test_calls_without_ids_are_answered_in_their_order() -> None:
    call, output = {"type": "function_call", "name": "look"}, {"type": "function_call_output", "output": "x"}

    (calls, results) = read(call, {**call, "call_id": ""}, output, output)

    ids = [block.id for block in calls.content if isinstance(block, ToolCall)]
    assert len(set(ids)) == 2
    assert [block.id for block in results.content if isinstance(block, ToolResult)] == ids


def test_a_result_may_hold_pictures() -> None:
    picture = {"type": "input_image", "image_url": "https://a.test/a.png"}
    (message,) = read({**OUTPUT, "output": [{"type": "input_text", "text": "see"}, picture]})

    (result,) = message.content
    assert isinstance(result, ToolResult)
    assert [type(block).__name__ for block in result.content] == ["Text", "Image"]


def test_instructions_stand_where_they_were_given() -> None:
    turns = read_input(
        [{"role": "developer", "content": "be brief"}, HELLO, {"role": "system", "content": "now rhyme"}],
        Losses(),
    )

    assert turns.system == [Text(text="be brief")]
    assert [message.role for message in turns.messages] == ["user", "system"]


def test_thoughts_come_back_with_what_proves_them() -> None:
    (message,) = read(
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "x",
        },
        {"type": "reasoning", "summary": [], "encrypted_content": "llmproxy:anthropic:sig"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "so"}]},
        {"type": "reasoning", "summary": []},
    )

    assert message.content == (
        Reasoning(text="hm", signature="x", origin="openai", summary=True, id="rs_1"),
        Reasoning(redacted="sig", origin="anthropic"),
        Reasoning(text="so"),
    )


@pytest.mark.parametrize(
    ("item", "role"),
    [
        ({"type": "web_search_call", "id": "ws_1"}, "assistant"),
        ({"type": "shell_call_output", "call_id": "c", "output": []}, "user"),
        ({"type": "mcp_approval_response", "approve": True}, "user"),
        ({"type": "item_reference", "id": "msg_1"}, "assistant"),
    ],
)
def test_what_only_openai_has_is_carried_as_it_is(item: dict[str, Any], role: str) -> None:
    assert read(item) == (Message(role=role, content=(Foreign(origin="openai", value=item),)),)  # type: ignore[arg-type]


def test_an_item_with_nothing_but_a_name_refers_to_another() -> None:
    assert read({"id": "msg_1"})[0].content == (
        Foreign(origin="openai", value={"type": "item_reference", "id": "msg_1"}),
    )


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({**HELLO, "phase": "commentary"}, "input[].phase"),
        ({**HELLO, "id": "msg_1"}, "input[].id"),
        ({**CALL, "namespace": "n"}, "input[].namespace"),
        ({**CALL, "status": "incomplete"}, "input[].status"),
        ({**OUTPUT, "caller": {"type": "direct"}}, "input[].caller"),
        ({"role": "system", "content": [{"type": "input_image", "file_id": "f"}]}, "input[].content[]"),
        (
            {"type": "reasoning", "summary": [{"text": "a"}], "content": [{"text": "b"}]},
            "input[].content",
        ),
    ],
)
def test_what_has_no_place_is_reported(item: dict[str, Any], field: str) -> None:
    losses = Losses()

    read(item, losses=losses)

    assert field in losses


@pytest.mark.parametrize(
    "told",
    [
        1,
        [1],
        [{"role": "critic", "content": "x"}],
        [{"type": 1}],
        [{"type": "message"}],
        [{"type": "function_call", "call_id": "c"}],
        [{**CALL, "arguments": 1}],
        [{"type": "function_call_output", "output": "x"}],
        [{**OUTPUT, "output": 1}],
        [{"type": "reasoning", "summary": "x"}],
        [{}],
    ],
)
def test_broken_input_is_named(told: Any) -> None:
    with pytest.raises(BadField) as caught:
        read_input(told, Losses())

    assert str(caught.value.param).startswith("input")
