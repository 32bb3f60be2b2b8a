from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from llmproxy.canonical import (
    Audio,
    Block,
    CacheMark,
    Citation,
    Document,
    FileRef,
    Foreign,
    Image,
    Inline,
    Link,
    Losses,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy.plugin import Quirks
from llmproxy_openai.responses.item_reader import read_input
from llmproxy_openai.responses.item_writer import Target, write_items

from .drawn import conversations

MARK = CacheMark(ttl="1h")


def write(
    role: Any, *content: Block, losses: Losses | None = None, quirks: Quirks | None = None
) -> list[dict[str, Any]]:
    target = Target(losses if losses is not None else Losses(), quirks or Quirks())
    return write_items([Message(role=role, content=content)], target)


def test_a_turn_of_the_model_is_written_in_order() -> None:
    items = write(
        "assistant",
        Reasoning(text="hm", signature="x", origin="openai", summary=True),
        Text(text="a"),
        Refusal(text="no"),
        ToolCall(id="c1", name="look", arguments='{"a":1}'),
        Text(text="b"),
    )

    assert items == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "x"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
        },
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a":1}'},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
    ]


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ((), ""),
        ((Text(text="a"), Text(text="b")), "a\nb"),
        (
            (Text(text="a"), Image(source=Link(url="https://a.test"))),
            [
                {"type": "input_text", "text": "a"},
                {"type": "input_image", "image_url": "https://a.test", "detail": "auto"},
            ],
        ),
    ],
)
def test_a_result_is_a_text_or_a_list_of_parts(content: tuple[Block, ...], output: Any) -> None:
    assert write("user", ToolResult(id="c1", content=content)) == [
        {"type": "function_call_output", "call_id": "c1", "output": output}
    ]


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            Image(source=Inline(media_type="image/png", data="aGk="), detail="low"),
            {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"},
        ),
        (
            Image(source=FileRef(id="f", dialect="openai")),
            {"type": "input_image", "file_id": "f", "detail": "auto"},
        ),
        (
            Document(source=Inline(media_type="application/pdf", data="aGk=")),
            {"type": "input_file", "filename": "file.pdf", "file_data": "data:application/pdf;base64,aGk="},
        ),
        (
            Document(source=Inline(media_type="text/plain", data="aGk="), title="a.txt"),
            {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="},
        ),
        (Document(source=Link(url="https://a.test")), {"type": "input_file", "file_url": "https://a.test"}),
        (Document(text="plain"), {"type": "input_text", "text": "plain"}),
        (
            Audio(source=Inline(media_type="audio/wav", data="aGk=")),
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        ),
        (Refusal(text="no"), {"type": "input_text", "text": "no"}),
    ],
)
def test_what_the_user_sends_is_a_part_of_a_message(block: Block, part: dict[str, Any]) -> None:
    losses = Losses()

    assert write("user", block, losses=losses) == [{"type": "message", "role": "user", "content": [part]}]
    assert not len(losses)


def test_late_instructions_stay_where_they_are() -> None:
    assert write("system", Text(text="now rhyme"))[0]["role"] == "system"


def test_open_thought_goes_to_who_takes_it_back() -> None:
    thought = Reasoning(text="hm")

    assert write("assistant", thought) == []
    assert write("assistant", thought, quirks=Quirks(reasoning_field="reasoning_content")) == [
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    ]


def test_cache_marks_are_written_where_they_are_taken() -> None:
    losses, quirks = Losses(), Quirks(extras=("prompt_cache_breakpoint",))
    texts = (Text(text="a", cache=MARK), Text(text="b", cache=CacheMark(ttl="30m")))

    (item,) = write("user", *texts, losses=losses, quirks=quirks)

    assert [part["prompt_cache_breakpoint"] for part in item["content"]] == [
        {"mode": "explicit"},
        {"mode": "explicit", "ttl": "30m"},
    ]
    assert not len(losses)


@pytest.mark.parametrize(
    "value",
    [
        {"type": "web_search_call", "id": "ws_1"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "x"},
        {"type": "compaction", "encrypted_content": "x"},
    ],
)
def test_openais_own_pieces_go_back_as_they_are(value: dict[str, Any]) -> None:
    assert write("assistant", Foreign(origin="openai", value=value)) == [value]


@pytest.mark.parametrize(
    ("role", "block", "field"),
    [
        ("user", Text(text="a", cache=MARK), "content.cache"),
        ("assistant", ToolCall(id="c", name="n", cache=MARK), "content.cache"),
        ("user", ToolResult(id="c", cache=MARK), "content.cache"),
        ("user", ToolResult(id="c", content=(Text(text="a", cache=MARK),)), "content.cache"),
        ("assistant", ToolCall(id="c", name="n", signature="s"), "tool_call.signature"),
        ("assistant", Text(text="a", signature="s"), "reasoning.signature"),
        ("user", ToolResult(id="c", is_error=True), "tool_result.is_error"),
        ("assistant", Reasoning(text="hm", signature="s", origin="anthropic"), "reasoning"),
        ("assistant", Reasoning(text="hm", origin="openai", summary=True), "reasoning"),
        ("assistant", Foreign(origin="anthropic", value={"type": "x_call"}), "content.foreign"),
        ("assistant", Foreign(origin="openai", value={"type": "item_reference"}), "content.foreign"),
        ("user", ToolResult(id="c", content=(ToolCall(id="c", name="n"),)), "content.foreign"),
        ("assistant", Image(source=Link(url="https://a.test")), "content.image"),
        ("user", Image(source=FileRef(id="f", dialect="anthropic")), "content.image"),
        ("assistant", Document(text="a"), "content.document"),
        ("user", Document(source=FileRef(id="f", dialect="gemini")), "content.document"),
        ("user", Document(text="a", title="t"), "document.title"),
        ("user", Document(source=Link(url="https://a.test"), title="t"), "document.title"),
        ("user", Document(text="a", context="c"), "document.context"),
        ("user", Document(text="a", cite=True), "document.cite"),
        ("user", Audio(source=Inline(media_type="audio/flac", data="")), "content.audio"),
        ("user", Video(source=Link(url="https://a.test")), "content.video"),
        ("assistant", Text(text="a", citations=(Citation(kind="page"),)), "content.citations"),
        (
            "assistant",
            Text(text="a", citations=(Citation(kind="url", url="https://a.test", quote="q"),)),
            "content.citations",
        ),
    ],
)
def test_what_has_no_place_is_reported(role: str, block: Block, field: str) -> None:
    losses = Losses()

    write(role, block, losses=losses)

    assert [loss.field for loss in losses] == [field]


def test_names_of_speakers_are_reported() -> None:
    losses = Losses()

    write_items([Message(role="user", content=(Text(text="a"),), name="ann")], Target(losses, Quirks()))

    assert "messages.name" in losses


@given(conversations())
def test_what_is_written_reads_as_the_same_conversation(messages: tuple[Message, ...]) -> None:
    losses = Losses()

    items = write_items(messages, Target(losses, Quirks()))
    again = read_input(items, losses).messages

    assert [_plain(message) for message in again] == [_plain(message) for message in messages]
    assert not len(losses)


def _plain(message: Message) -> list[Block]:
    """Leave out the name of a result's call, which the items tell only by its id."""
    return [
        ToolResult(id=block.id, content=block.content) if isinstance(block, ToolResult) else block
        for block in message.content
    ]
