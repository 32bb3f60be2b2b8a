from __future__ import annotations

import pytest

from llmproxy.canonical import (
    Audio,
    CacheMark,
    Citation,
    Document,
    Foreign,
    Image,
    Inline,
    Losses,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy_declared.texts import result_text, text_of

PNG = Inline("image/png", "aaaa")


def test_texts_stand_in_lines():
    losses = Losses()

    assert text_of([Text("a"), Refusal("b"), Document(text="c"), Text("")], losses) == "a\nb\nc"
    assert not len(losses)


@pytest.mark.parametrize(
    ("block", "lost"),
    [
        (Image(PNG), "content.image"),
        (Audio(PNG), "content.audio"),
        (Video(PNG), "content.video"),
        (Document(source=PNG), "content.document"),
        (Document(text="x", title="t"), "document.title"),
        (Foreign("openai", {}), "content.foreign"),
        (Reasoning("thought"), "reasoning"),
        (ToolCall("1", "t"), "tool_calls"),
        (ToolResult("1", (Text("r"),)), "tool_result"),
        (Text("x", cache=CacheMark()), "content.cache"),
        (Text("x", citations=(Citation("url"),)), "content.citations"),
    ],
)
def test_what_is_no_text_is_told(block, lost):
    losses = Losses()
    text_of([block], losses)

    assert [loss.field for loss in losses] == [lost]


def test_what_is_carried_elsewhere_is_not_lost():
    losses = Losses()

    assert text_of([Image(PNG), Text("x")], losses, (Image,)) == "x"
    assert not len(losses)


def test_a_result_is_its_text():
    losses = Losses()

    assert result_text(ToolResult("1", (Text("a"), Image(PNG), Text("b"))), losses) == "a\nb"
    assert "tool_result.content" in losses
