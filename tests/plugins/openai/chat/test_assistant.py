from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import (
    Block,
    CacheMark,
    Foreign,
    Image,
    Link,
    Losses,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from llmproxy.plugin import Quirks
from llmproxy_openai.chat.assistant import Assistant

PICTURE = Image(Link("https://a.example/b"))


def written(losses: Losses, *content: Block, **quirks: Any) -> dict[str, Any]:
    return Assistant(Quirks(**quirks), losses).write(content)


def test_what_was_said_and_called_is_one_message(losses: Losses) -> None:
    said = (Text("a"), Text("b"), Refusal("c"), ToolCall("c1", "look", '{"x":1}'))
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}

    assert written(losses, *said) == {"content": "abc", "tool_calls": [call]}
    assert [loss.field for loss in losses] == ["content.refusal"]
    assert written(losses, ToolCall("c1", "look"))["content"] is None
    assert written(losses)["content"] == ""


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_go_back_as_text_where_only_that_is_taken(field: str, losses: Losses) -> None:
    thoughts = (Reasoning("a", "sig", origin="anthropic"), Reasoning(redacted="x", origin="anthropic"))

    message = written(losses, *thoughts, Text("b"), reasoning_field=field)
    assert (message[field], message["content"]) == ("a", "b")
    assert [loss.field for loss in losses] == ["reasoning.signature", "reasoning"]


def test_thoughts_go_back_whole_or_not_at_all(losses: Losses) -> None:
    thought = Reasoning("a", "sig", origin="anthropic")

    message = written(losses, thought, reasoning_field="reasoning_details")
    assert message["reasoning_details"][0]["signature"] == "sig"
    assert len(losses) == 0
    assert written(losses, thought) == {"content": ""}
    assert [loss.field for loss in losses] == ["reasoning"]


def test_geminis_signatures_go_where_they_are_taken(losses: Losses) -> None:
    said = (Text("a", signature="s1"), ToolCall("c1", "look", signature="s2"))

    message = written(losses, *said, extras=("extra_content",))
    assert message["extra_content"] == {"google": {"thought_signature": "s1"}}
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "s2"}}
    assert len(losses) == 0

    plain = written(losses, *said)
    assert "extra_content" not in plain
    assert "extra_content" not in plain["tool_calls"][0]
    assert [loss.field for loss in losses] == ["tool_call.signature", "reasoning.signature"]


def test_free_text_calls_go_on_and_other_foreign_blocks_do_not(losses: Losses) -> None:
    value = {"type": "custom_tool_call", "call_id": "c1", "name": "sh", "input": "ls"}
    message = written(losses, Foreign("openai", value))
    assert message["tool_calls"] == [{"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]
    assert len(losses) == 0

    written(losses, Foreign("openai", {**value, "caller": {}}), Foreign("anthropic", {}), PICTURE)
    assert [loss.field for loss in losses] == ["content.foreign", "content.image"]


def test_marks_are_written_where_they_are_taken(losses: Losses) -> None:
    said = (Text("a", CacheMark()), Refusal("no"))

    assert written(losses, *said, extras=("cache_control",))["content"] == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "no"},
    ]
    assert [loss.field for loss in losses] == ["content.refusal"]

    assert written(losses, Text("a", CacheMark()), ToolCall("c", "f", cache=CacheMark()))["content"] == "a"
    assert "content.cache" in losses
