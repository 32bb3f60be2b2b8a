from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    Audio,
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
    Video,
)
from llmproxy_anthropic.blocks import read_block
from llmproxy_anthropic.writing import cache_control, tool_id, write_block, write_source, write_text

PNG = Inline(media_type="image/png", data="eA==")
OWN_PAGE = Citation(kind="page", quote="q", document=0, start=1, end=2)


def write(block, role="user"):
    losses = Losses()
    return write_block(block, role, losses), [loss.field for loss in losses]


@pytest.mark.parametrize(
    "block",
    [
        Text(text="a"),
        Text(text="a", cache=CacheMark(ttl="1h")),
        Image(source=PNG, cache=CacheMark()),
        Image(source=Link(url="u")),
        Image(source=FileRef(id="f", dialect="anthropic")),
        Document(text="d", title="t", context="c", cite=True, cache=CacheMark()),
        Document(source=Inline(media_type="application/pdf", data="eA==")),
        Document(source=Link(url="u")),
        ToolResult(id="i", content=(Text(text="r"),), is_error=True, cache=CacheMark()),
        ToolResult(id="i", content=(Text(text="r"), Image(source=PNG))),
        ToolResult(id="i"),
        Foreign(origin="anthropic", value={"type": "container_upload", "file_id": "f"}),
    ],
    ids=lambda block: type(block).__name__,
)
def test_what_is_written_for_a_user_reads_as_it_was(block):
    written, losses = write(block)
    read = []
    read_block(written, "b", None, read)

    assert (read, losses) == ([block], [])


@pytest.mark.parametrize(
    "block",
    [
        Text(text="a", citations=(OWN_PAGE,)),
        ToolCall(id="i", name="n", arguments='{"a":1}', cache=CacheMark()),
        Reasoning(text="h", signature="s", origin="anthropic"),
        Reasoning(redacted="d", origin="anthropic"),
    ],
    ids=lambda block: type(block).__name__,
)
def test_what_is_written_for_the_assistant_reads_as_it_was(block):
    written, losses = write(block, "assistant")
    read = []
    read_block(written, "b", None, read)

    assert (read, losses) == ([block], [])


@pytest.mark.parametrize(
    ("block", "role", "fields"),
    [
        (Audio(source=PNG), "user", ["content.audio"]),
        (Video(source=PNG), "user", ["content.video"]),
        (Foreign(origin="openai", value={}), "user", ["content.foreign"]),
        (Image(source=FileRef(id="f", dialect="openai")), "user", ["content.image"]),
        (Image(source=PNG), "assistant", ["content.image"]),
        (Document(source=FileRef(id="f", dialect="gemini")), "user", ["content.document"]),
        (Document(source=Inline(media_type="application/zip", data="eA==")), "user", ["content.document"]),
        (Document(source=Inline(media_type="text/csv", data="/w==")), "user", ["content.document"]),
        (
            Reasoning(text="h", signature="s", origin="gemini"),
            "assistant",
            ["reasoning.signature", "reasoning"],
        ),
        (Reasoning(text="h"), "assistant", ["reasoning"]),
        (Reasoning(), "assistant", []),
        (Text(text=" "), "user", []),
        (Text(text=""), "assistant", []),
        (Refusal(text=""), "assistant", []),
    ],
    ids=str,
)
def test_what_cannot_be_said_is_left_out_and_told(block, role, fields):
    assert write(block, role) == (None, fields)


@pytest.mark.parametrize(
    ("block", "key", "fields"),
    [
        (Image(source=PNG, detail="low"), "source", ["image.detail"]),
        (ToolCall(id="i", name="n", signature="s"), "input", ["tool_call.signature"]),
        (ToolCall(id="i", name="n", arguments="[1]"), "input", ["tool_call.arguments"]),
        (ToolCall(id="i", name="n", arguments='{"a'), "input", ["tool_call.arguments"]),
        (Text(text="a", signature="s"), "text", ["reasoning.signature"]),
        (Text(text="a", citations=(OWN_PAGE,)), "text", ["content.citations"]),
        (ToolResult(id="i", content=(Audio(source=PNG),)), "content", ["tool_result.content"]),
    ],
    ids=str,
)
def test_what_is_said_in_part_is_told(block, key, fields):
    written, told = write(block)

    assert key in written
    assert told == fields


def test_a_foreign_citation_is_told_as_lost():
    page = Citation(kind="url", url="https://a")

    assert write(Text(text="a", citations=(page, OWN_PAGE)), "assistant")[1] == ["content.citations"]


def test_space_of_the_assistants_is_kept_beside_its_calls():
    assert write(Text(text=" "), "assistant")[0] == {"type": "text", "text": " "}


def test_words_of_refusal_are_text():
    assert write(Refusal(text="No."), "assistant") == ({"type": "text", "text": "No."}, [])


def test_a_text_file_is_read_out():
    block = Document(
        source=Inline(media_type="text/csv; charset=utf-8", data=b64encode("a,ü".encode()).decode())
    )

    assert write(block)[0]["source"] == {"type": "text", "media_type": "text/plain", "data": "a,ü"}


@pytest.mark.parametrize("arguments", ["", "{}", "null"])
def test_no_arguments_are_an_empty_object(arguments):
    assert write(ToolCall(id="i", name="n", arguments=arguments))[0]["input"] == {}


def test_ids_that_anthropic_refuses_are_made_anew_the_same_each_time():
    assert tool_id("call_1-x") == "call_1-x"
    assert tool_id("a.b:c") == tool_id("a.b:c") != tool_id("a.b:d")


@given(st.text())
def test_every_id_is_one_that_anthropic_takes(name):
    import re

    assert re.fullmatch("[a-zA-Z0-9_-]+", tool_id(name))


def test_small_parts():
    assert cache_control(CacheMark()) == {"type": "ephemeral"}
    assert write_source(FileRef(id="f", dialect="gemini")) is None
    assert write_text(Text(text="a"), Losses()) == {"type": "text", "text": "a"}
