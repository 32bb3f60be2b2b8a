from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import (
    CacheMark,
    Citation,
    Foreign,
    Losses,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy.plugin import BadField
from llmproxy_openai.chat.turns import Turns


def turns(losses: Losses, *messages: dict[str, Any]) -> Turns:
    taken = Turns(losses)
    for message in messages:
        taken.take(message, "messages[0].")
    taken.flush()
    return taken


def calling(*calls: tuple[str, str]) -> dict[str, Any]:
    items = [{"id": i, "type": "function", "function": {"name": n, "arguments": "{}"}} for i, n in calls]
    return {"role": "assistant", "content": None, "tool_calls": items}


def test_instructions_stand_apart_until_the_conversation_begins(losses: Losses) -> None:
    taken = turns(
        losses,
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        {"role": "user", "content": "hi", "name": "ann"},
        {"role": "system", "content": "three", "name": "boss"},
    )

    assert taken.system == [Text("one"), Text("two")]
    assert taken.messages == [
        Message("user", (Text("hi"),), "ann"),
        Message("system", (Text("three"),), "boss"),
    ]


def test_the_results_of_a_turn_are_one_with_what_the_user_says_next(losses: Losses) -> None:
    taken = turns(
        losses,
        calling(("c1", "look"), ("c2", "find")),
        {"role": "tool", "tool_call_id": "c2", "content": "found"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "seen"}]},
        {"role": "user", "content": "and?"},
    )

    results = (ToolResult("c2", (Text("found"),), "find"), ToolResult("c1", (Text("seen"),), "look"))
    assert taken.messages[1:] == [Message("user", (*results, Text("and?")))]


def test_results_at_the_end_are_a_turn(losses: Losses) -> None:
    taken = turns(losses, calling(("c1", "look")), {"role": "tool", "tool_call_id": "c1", "content": ""})

    assert taken.messages[-1] == Message("user", (ToolResult("c1", (), "look"),))


def test_results_without_ids_answer_the_calls_in_order(losses: Losses) -> None:
    taken = turns(
        losses,
        calling(("c1", "look"), ("c2", "find")),
        {"role": "tool", "content": "seen"},
        {"role": "tool", "content": "found"},
    )

    assert [block.id for block in taken.messages[-1].content if isinstance(block, ToolResult)] == ["c1", "c2"]


def test_a_result_that_answers_nothing_is_refused(losses: Losses) -> None:
    with pytest.raises(BadField, match="tool_call_id"):
        turns(losses, {"role": "tool", "content": "seen"})


def test_a_function_is_a_tool_whose_id_is_made_up(losses: Losses) -> None:
    taken = turns(
        losses,
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": ""}},
        {"role": "function", "name": "look", "content": "seen"},
    )
    call, result = taken.messages[0].content[0], taken.messages[1].content[0]

    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert (call.arguments, call.id) == ("{}", result.id)
    assert result.name == "look"


def test_a_turn_of_the_model_is_thought_text_refusal_and_calls(losses: Losses) -> None:
    message = {
        **calling(("c1", "look")),
        "content": "so",
        "refusal": "no",
        "reasoning_content": "hm",
        "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}],
        "extra_content": {"google": {"thought_signature": "sig"}},
    }

    cited = Text("so", citations=(Citation("url", "https://a.example", "A"),), signature="sig")
    assert turns(losses, message).messages == [
        Message("assistant", (Reasoning("hm"), cited, Refusal("no"), ToolCall("c1", "look")))
    ]
    assert len(losses) == 0


def test_a_signature_without_text_is_kept(losses: Losses) -> None:
    message = {
        "role": "assistant",
        "content": None,
        "extra_content": {"google": {"thought_signature": "sig"}},
    }

    assert turns(losses, message).messages[0].content == (Text("", signature="sig"),)


def test_marks_and_signatures_of_calls_are_read(losses: Losses) -> None:
    message = calling(("c1", "look"))
    message["tool_calls"][0] |= {
        "extra_content": {"google": {"thought_signature": "sig"}},
        "cache_control": {"type": "ephemeral"},
    }

    assert turns(losses, message).messages[0].content == (ToolCall("c1", "look", "{}", "sig", CacheMark()),)


def test_a_call_with_free_text_is_read(losses: Losses) -> None:
    message = {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
    }
    value = {"type": "custom_tool_call", "call_id": "c1", "name": "sh", "input": "ls"}

    assert turns(losses, message).messages[0].content == (Foreign("openai", value),)


def test_arguments_that_are_no_object_are_put_into_one(losses: Losses) -> None:
    message = calling(("c1", "look"))
    message["tool_calls"][0]["function"]["arguments"] = '{"a": '

    assert turns(losses, message).messages[0].content == (
        ToolCall("c1", "look", '{"invalid_json":"{\\"a\\": "}'),
    )
    assert "messages[].tool_calls[].function.arguments" in losses


def test_a_mark_on_a_message_marks_its_last_part(losses: Losses) -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    taken = turns(
        losses,
        {"role": "user", "content": "hi", **mark},
        calling(("c1", "look")),
        {"role": "tool", "tool_call_id": "c1", "content": "seen", **mark},
        {"role": "user", "content": "", **mark},
    )

    assert taken.messages[0].content == (Text("hi", CacheMark("1h")),)
    assert taken.messages[2].content == (ToolResult("c1", (Text("seen"),), "look", cache=CacheMark("1h")),)
    assert "messages[].cache_control" in losses


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"role": "narrator", "content": "x"},
        {"role": "user", "content": 7},
        {"role": "assistant", "tool_calls": 7},
        {"role": "assistant", "tool_calls": [{"id": "c1"}]},
        {"role": "assistant", "tool_calls": [{"id": "c1", "function": {}}]},
        {"role": "assistant", "function_call": "look"},
        {"role": "user", "name": 7},
    ],
)
def test_a_broken_message_is_refused_with_its_place(message: dict[str, Any], losses: Losses) -> None:
    with pytest.raises(BadField) as caught:
        turns(losses, message)

    assert caught.value.param is not None
    assert caught.value.param.startswith("messages[0].")


def test_what_is_not_known_is_told(losses: Losses) -> None:
    turns(losses, {"role": "assistant", "content": "x", "audio": {"id": "a"}, "prefix": True})
    turns(
        losses,
        {"role": "system", "content": [{"type": "image_url", "image_url": "https://a.example"}], "name": "x"},
    )

    assert [loss.field for loss in losses] == [
        "messages[].audio",
        "messages[].prefix",
        "messages[].content",
        "messages[].name",
    ]
