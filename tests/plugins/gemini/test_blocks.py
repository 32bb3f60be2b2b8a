from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import (
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
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy_gemini.blocks import PartWriter, write_call, write_thought
from llmproxy_gemini.parts import Calls, read_part

PNG = Image(source=Inline(media_type="image/png", data="QQ=="))


@pytest.mark.parametrize(
    ("block", "part", "lost"),
    [
        (Text(text="Hi", signature="s"), {"text": "Hi", "thoughtSignature": "s"}, []),
        (Text(text=""), None, []),
        (Text(text="Hi", cache=CacheMark()), {"text": "Hi"}, ["content.cache"]),
        (Text(text="Hi", citations=(Citation(kind="url"),)), {"text": "Hi"}, ["content.citations"]),
        (Refusal(text="No"), {"text": "No"}, ["content.refusal"]),
        (Foreign(origin="gemini", value={"toolCall": {}}), {"toolCall": {}}, []),
        (Foreign(origin="openai", value={}), None, ["content.foreign"]),
        (
            Image(source=Link(url="https://x.test/a"), detail="low"),
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.test/a"}},
            ["image.detail"],
        ),
        (Image(source=FileRef(id="f", dialect="openai")), None, ["content.image"]),
        (
            Document(text="t", title="T", context="c", cite=True),
            {"text": "t"},
            ["document.title", "document.context", "document.cite"],
        ),
        (Reasoning(text="Hm"), {"text": "Hm", "thought": True}, []),
        (
            Reasoning(text="Hm", signature="s", origin="gemini"),
            {"text": "Hm", "thought": True, "thoughtSignature": "s"},
            [],
        ),
        (
            Reasoning(text="Hm", signature="s", origin="anthropic"),
            {"text": "Hm", "thought": True},
            ["reasoning.signature"],
        ),
        (Reasoning(redacted="r", origin="anthropic"), None, ["reasoning"]),
        (
            ToolResult(id="c", name="f", is_error=True, content=(Text(text="no"),)),
            {"functionResponse": {"id": "c", "name": "f", "response": {"error": "no"}}},
            [],
        ),
        (ToolResult(id=""), {"functionResponse": {"name": "unknown", "response": {}}}, []),
    ],
)
def test_a_block_is_a_part(block: Block, part: dict[str, Any] | None, lost: list[str]) -> None:
    losses = Losses()

    assert PartWriter(losses).part(block) == part
    assert [loss.field for loss in losses] == lost


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("plain", {"output": "plain"}),
        ("", {"output": ""}),
        ('{"a": 1}', {"a": 1}),
        ('{"result": "x"}', {"result": "x"}),
        ("{}", {}),
        ("{broken", {"output": "{broken"}),
        ("[1]", {"output": "[1]"}),
    ],
)
def test_a_result_is_an_object(text: str, response: dict[str, Any]) -> None:
    result = ToolResult(id="c", name="f", content=(Text(text=text),))

    part = PartWriter(Losses()).part(result)

    assert part == {"functionResponse": {"id": "c", "name": "f", "response": response}}


def test_media_stand_in_a_result_where_they_may() -> None:
    result = ToolResult(id="c", name="f", content=(Text(text="see"), PNG))

    part = PartWriter(Losses(), nests=True).part(result)

    assert part is not None
    assert part["functionResponse"]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "QQ=="}}]


def test_media_follow_a_result_where_they_may_not_stand_in_it() -> None:
    losses = Losses()
    writer = PartWriter(losses)

    part = writer.part(ToolResult(id="c", name="f", content=(PNG,)))

    assert part is not None
    assert "parts" not in part["functionResponse"]
    assert writer.following == [{"inlineData": {"mimeType": "image/png", "data": "QQ=="}}]
    assert "tool_result.content" in losses


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ('{"a":1}', {"a": 1}),
        ("{}", {}),
        ("", {}),
        ("[1]", {"arguments": [1]}),
        ("{broken", {"arguments": "{broken"}),
    ],
)
def test_arguments_are_an_object(arguments: str, args: dict[str, Any]) -> None:
    part = write_call(ToolCall(id="c", name="f", arguments=arguments, signature="s"))

    assert part == {"functionCall": {"id": "c", "name": "f", "args": args}, "thoughtSignature": "s"}


def test_callers_are_given_every_signature() -> None:
    thought = Reasoning(text="Hm", signature="s", origin="anthropic")

    part = PartWriter(Losses(), packs=True).part(thought)

    assert part == write_thought(thought)
    assert read_part(part, Calls(), Losses()) == thought


def test_an_empty_thought_is_nothing() -> None:
    assert write_thought(Reasoning()) is None
