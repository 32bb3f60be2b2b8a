from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.canonical.made import BLOCKS, RESULTS

from llmproxy.canonical import (
    Block,
    CacheMark,
    Document,
    FileRef,
    GenerateRequest,
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
from llmproxy_cohere.writing import Writer

PLAN = Reasoning("I will.", origin="cohere", id="tool_plan")
CALL = ToolCall("f_1", "f")


def written(
    *messages: Message, thinks: bool = True, **more: Any
) -> tuple[list[dict[str, Any]], Writer, list[str]]:
    losses = Losses()
    writer = Writer(losses, thinks=thinks)
    told = writer.write(GenerateRequest(model="m", messages=messages, **more))
    return told, writer, [loss.field for loss in losses]


def test_instructions_stand_first_and_late_ones_where_they_were() -> None:
    told, _, lost = written(
        Message("user", (Text("Hi"),)), Message("system", (Text("C"),)), system=(Text("A"), Text("B"))
    )

    assert [message["role"] for message in told] == ["system", "user", "system"]
    assert told[0]["content"] == "A\n\nB"
    assert lost == []


def test_results_stand_first_one_message_each() -> None:
    told, _, lost = written(
        Message("user", (ToolResult("f_1", (Text("1"),)), ToolResult("f_2", ()), Text("Go on"))),
    )

    assert told == [
        {"role": "tool", "tool_call_id": "f_1", "content": "1"},
        {"role": "tool", "tool_call_id": "f_2", "content": ""},
        {"role": "user", "content": "Go on"},
    ]
    assert lost == []


def test_a_picture_in_a_result_follows_it() -> None:
    picture = Image(Inline("image/png", "aGk="))
    told, _, lost = written(Message("user", (ToolResult("f_1", (Text("1"), picture)),)))

    assert told[1]["content"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]
    assert lost == ["tool_result.content"]


def test_documents_of_text_stand_apart() -> None:
    documents: tuple[Block, ...] = (
        Document(text="A", title="T"),
        Document(source=Inline("text/plain", "Qg==")),
        Document(source=Inline("application/pdf", "Qg==")),
    )
    told, writer, lost = written(Message("user", (*documents, Text("Hi"))))

    assert told == [{"role": "user", "content": "Hi"}]
    assert writer.documents == [
        {"id": "doc:0", "data": {"title": "T", "text": "A"}},
        {"id": "doc:1", "data": {"text": "B"}},
    ]
    assert lost == ["content.document"]


def test_a_plan_stands_before_its_calls() -> None:
    told, _, lost = written(Message("assistant", (PLAN, CALL)))

    assert told == [
        {
            "role": "assistant",
            "tool_plan": "I will.",
            "tool_calls": [{"id": "f_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        }
    ]
    assert lost == []


def test_thoughts_go_back_to_models_that_think() -> None:
    thought = Reasoning("Hm")

    assert written(Message("assistant", (thought, Text("Hi"))))[0][0]["content"] == [
        {"type": "thinking", "thinking": "Hm"},
        {"type": "text", "text": "Hi"},
    ]
    assert written(Message("assistant", (thought, CALL)), thinks=False)[0][0]["tool_plan"] == "Hm"
    assert written(Message("assistant", (thought, Text("Hi"))), thinks=False)[2] == ["reasoning"]
    assert written(Message("assistant", (Reasoning("x", origin="anthropic"), Text("Hi"))))[2] == ["reasoning"]


def test_what_cohere_does_not_read_is_told_of() -> None:
    _, _, lost = written(
        Message(
            "user",
            (
                Text("Hi", CacheMark()),
                Image(FileRef("f", "openai")),
                Image(Link("https://a.test"), "original"),
                ToolResult("f", is_error=True),
            ),
            name="Ann",
        )
    )

    assert sorted(lost) == [
        "content.cache",
        "content.image",
        "image.detail",
        "messages.name",
        "tool_result.is_error",
    ]


MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "system"]),
    content=st.lists(BLOCKS | RESULTS, max_size=3).map(tuple),
)


@given(st.lists(MESSAGES, max_size=3), st.booleans())
def test_any_turns_can_be_written(messages: list[Message], thinks: bool) -> None:
    told, _, _ = written(*messages, thinks=thinks)

    assert {message["role"] for message in told} <= {"user", "assistant", "system", "tool"}
