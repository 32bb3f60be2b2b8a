from __future__ import annotations

import pytest

from llmproxy.canonical import (
    Audio,
    CacheMark,
    Citation,
    Document,
    FileRef,
    Foreign,
    GenerateRequest,
    Image,
    Inline,
    Losses,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy_ollama.messages import write_messages

BYTES = Inline(media_type="image/png", data="AA")


def written(*messages, system=()):
    losses = Losses()
    request = GenerateRequest(model="m", messages=messages, system=system)
    return write_messages(request, losses), [loss.field for loss in losses]


def user(*blocks, **more):
    return Message(role="user", content=blocks, **more)


def assistant(*blocks):
    return Message(role="assistant", content=blocks)


def test_instructions_stand_first_and_joined():
    out, lost = written(user(Text(text="c")), system=(Text(text="a"), Text(text="b")))

    assert out == [{"role": "system", "content": "a\n\nb"}, {"role": "user", "content": "c"}]
    assert not lost


def test_a_turn_has_its_thoughts_pictures_and_calls_beside_its_text():
    call = ToolCall(id="c1", name="look", arguments='{"a":1}')
    out, lost = written(
        user(Text(text="a"), Image(source=BYTES), Text(text="b")),
        assistant(Reasoning(text="t"), Text(text="c"), call),
    )

    assert out[0] == {"role": "user", "content": "a\nb", "images": ["AA"]}
    assert out[1] == {
        "role": "assistant",
        "content": "c",
        "thinking": "t",
        "tool_calls": [{"id": "c1", "function": {"index": 0, "name": "look", "arguments": {"a": 1}}}],
    }
    assert not lost


def test_results_are_messages_of_their_own_before_what_the_user_says():
    result = ToolResult(id="c1", name="look", content=(Text(text="sun"), Image(source=BYTES)))
    out, lost = written(user(result, Text(text="and?")))

    told = {"role": "tool", "content": "sun", "images": ["AA"], "tool_name": "look", "tool_call_id": "c1"}
    assert out == [told, {"role": "user", "content": "and?"}]
    assert not lost


@pytest.mark.parametrize(
    ("block", "field"),
    [
        (Text(text="a", cache=CacheMark()), "content.cache"),
        (Text(text="a", citations=(Citation(kind="url"),)), "content.citations"),
        (Image(source=BYTES, detail="low"), "image.detail"),
        (Image(source=FileRef(id="f", dialect="openai")), "content.image"),
        (Document(source=BYTES), "content.document"),
        (Document(text="a", title="t"), "document.title"),
        (Audio(source=BYTES), "content.audio"),
        (Video(source=BYTES), "content.video"),
        (ToolCall(id="c", name="n", signature="s"), "tool_call.signature"),
        (Reasoning(redacted="r", origin="anthropic"), "reasoning"),
        (Reasoning(text="t", signature="s", origin="anthropic"), "reasoning.signature"),
        (Refusal(text="no"), "content.refusal"),
        (Foreign(origin="openai", value={}), "content.foreign"),
        (ToolResult(id="c", is_error=True), "tool_result.is_error"),
        (ToolResult(id="c", cache=CacheMark()), "content.cache"),
    ],
)
def test_what_has_no_place_is_reported(block, field):
    assert written(assistant(block))[1] == [field]


def test_names_and_marks_beside_the_blocks_are_reported():
    assert written(user(Text(text="a"), name="Ann"))[1] == ["messages.name"]
    assert written(system=(Text(text="a", cache=CacheMark()),))[1] == ["system.cache"]


def test_a_document_of_text_is_text():
    assert written(user(Document(text="a")))[0] == [{"role": "user", "content": "a"}]
