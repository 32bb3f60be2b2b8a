from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import (
    Document,
    Image,
    Inline,
    Link,
    Losses,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy.plugin import BadField
from llmproxy_cohere.turns import read_arguments, read_document, read_turns, source_of

CALL = {"id": "f_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def turns(*messages: dict[str, Any], **more: Any) -> tuple[Message, ...]:
    return read_turns({"messages": list(messages), **more}, Losses(), cited=True)[1]


def test_instructions_before_the_conversation_stand_apart() -> None:
    system, messages = read_turns(
        {
            "messages": [
                {"role": "system", "content": "A"},
                {"role": "user", "content": "Hi"},
                {"role": "system", "content": [{"type": "text", "text": "B"}]},
            ]
        },
        Losses(),
        cited=True,
    )

    assert system == (Text("A"),)
    assert messages == (Message("user", (Text("Hi"),)), Message("system", (Text("B"),)))


def test_a_loop_with_tools_is_turns_of_calls_and_results() -> None:
    messages = turns(
        {"role": "user", "content": "Go"},
        {"role": "assistant", "tool_plan": "I will.", "tool_calls": [CALL, {**CALL, "id": "f_2"}]},
        {"role": "tool", "tool_call_id": "f_1", "content": "1"},
        {
            "role": "tool",
            "tool_call_id": "f_2",
            "content": [{"type": "document", "document": {"data": {"x": 2}}}],
        },
    )

    assert messages[1].content == (
        Reasoning("I will.", origin="cohere", id="tool_plan"),
        ToolCall("f_1", "f", '{"a":1}'),
        ToolCall("f_2", "f", '{"a":1}'),
    )
    assert messages[2].content == (
        ToolResult("f_1", (Text("1"),), "f"),
        ToolResult("f_2", (Document(text="x: 2", cite=True),), "f"),
    )


def test_documents_stand_before_what_the_user_said_last() -> None:
    messages = turns(
        {"role": "user", "content": "A"},
        {"role": "assistant", "content": "B"},
        {"role": "user", "content": "C"},
        documents=["text", {"id": "d", "data": {"title": "T", "snippet": "S"}}],
    )

    assert messages[2].content == (
        Document(text="text", cite=True),
        Document(text="S", title="T", cite=True),
        Text("C"),
    )


def test_a_picture_comes_as_bytes_or_by_its_url() -> None:
    [message] = turns(
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
                {"type": "image_url", "image_url": "https://a.test/b.png"},
            ],
        }
    )

    assert message.content == (
        Image(Inline("image/png", "aGk="), "low"),
        Image(Link("https://a.test/b.png")),
    )
    with pytest.raises(BadField):
        source_of("data:image/png,x")


def test_earlier_answers_keep_their_sources_and_thoughts() -> None:
    [message] = turns(
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hi"}],
            "citations": [{"start": 0, "end": 2, "sources": []}],
        }
    )

    thought, said = message.content
    assert thought == Reasoning("Hm", origin="cohere")
    assert isinstance(said, Text)
    assert said.citations[0].text_end == 2


@pytest.mark.parametrize("told", [None, "", "null", " null ", "{}"])
def test_no_arguments_are_an_empty_object(told: Any) -> None:
    assert read_arguments(told).strip() == "{}"


def test_members_beside_a_documents_text_are_its_context() -> None:
    losses = Losses()

    document = read_document({"data": {"text": "x", "page": 3}}, "documents[].", losses, cited=False)

    assert document == Document(text="x", context="page: 3")
    assert [loss.field for loss in losses] == ["documents[].data"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"messages": []},
        {"messages": "Hi"},
        {"messages": [{"content": "Hi"}]},
        {"messages": [{"role": "robot"}]},
        {"messages": [{"role": "user", "content": 3}]},
        {"messages": [{"role": "user", "content": [{}]}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]},
        {"messages": [{"role": "user", "content": "Hi"}], "documents": [3]},
        {"messages": [{"role": "user", "content": "Hi"}], "documents": "x"},
    ],
)
def test_what_is_no_conversation_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(BadField):
        read_turns(asked, Losses(), cited=True)
