import base64

import pytest

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
from llmproxy_bedrock.models import habits_of
from llmproxy_bedrock.writing import Writer, tool_id

CLAUDE = "anthropic.claude-sonnet-4-5-v1:0"
PNG = Inline(media_type="image/png", data="AAAA")


def written(block, role="user", model=CLAUDE):
    losses = Losses()
    return Writer(habits_of(model), losses).block(block, role), [loss.field for loss in losses]


@pytest.mark.parametrize(
    ("block", "role", "expected"),
    [
        (Text(text="hi"), "user", [{"text": "hi"}]),
        (Text(text=" "), "user", []),
        (Refusal(text="no"), "assistant", [{"text": "no"}]),
        (
            Text(text="hi", cache=CacheMark(ttl="1h")),
            "user",
            [{"text": "hi"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        ),
        (Image(source=PNG), "user", [{"image": {"format": "png", "source": {"bytes": "AAAA"}}}]),
        (
            Video(source=FileRef(id="s3://b/x.mov", dialect="bedrock")),
            "user",
            [{"video": {"format": "mov", "source": {"s3Location": {"uri": "s3://b/x.mov"}}}}],
        ),
        (
            Audio(source=Inline(media_type="audio/wav", data="AAAA")),
            "user",
            [{"audio": {"format": "wav", "source": {"bytes": "AAAA"}}}],
        ),
        (
            ToolCall(id="t", name="f", arguments='{"a":1}'),
            "assistant",
            [{"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}}],
        ),
        (
            ToolResult(id="t", content=(Text(text="x"), Image(source=PNG)), is_error=True),
            "user",
            [
                {
                    "toolResult": {
                        "toolUseId": "t",
                        "content": [{"text": "x"}, {"image": {"format": "png", "source": {"bytes": "AAAA"}}}],
                        "status": "error",
                    }
                }
            ],
        ),
        (
            Reasoning(text="hm", signature="s", origin="anthropic"),
            "assistant",
            [{"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}],
        ),
        (
            Reasoning(redacted="//8=", origin="bedrock"),
            "assistant",
            [{"reasoningContent": {"redactedContent": "//8="}}],
        ),
        (Foreign(origin="bedrock", value={"a": 1}), "user", [{"a": 1}]),
        (
            Document(text="t", title="n", cite=True),
            "user",
            [
                {
                    "document": {
                        "format": "txt",
                        "name": "n",
                        "source": {"text": "t"},
                        "citations": {"enabled": True},
                    }
                }
            ],
        ),
        (
            Document(source=Inline(media_type="text/x-odd", data="AAAA")),
            "user",
            [{"document": {"format": "txt", "name": "document", "source": {"bytes": "AAAA"}}}],
        ),
    ],
)
def test_a_block_is_written_without_a_loss(block, role, expected):
    assert written(block, role) == (expected, [])


@pytest.mark.parametrize(
    ("block", "lost"),
    [
        (Image(source=Link(url="https://x")), "content.image"),
        (Image(source=Inline(media_type="image/tiff", data="AAAA")), "content.image"),
        (Image(source=PNG, detail="high"), "image.detail"),
        (Document(source=FileRef(id="f", dialect="openai")), "content.document"),
        (Document(text="t", title="a/b"), "document.title"),
        (Foreign(origin="openai", value={}), "content.foreign"),
        (Text(text="x", signature="s"), "reasoning.signature"),
        (Text(text="x", citations=(Citation(kind="url", url="u"),)), "content.citations"),
        (ToolCall(id="t", name="f", signature="s"), "tool_call.signature"),
        (ToolCall(id="t", name="f", arguments="["), "tool_call.arguments"),
        (ToolResult(id="t", content=(Reasoning(text="x"),)), "tool_result.content"),
        (Reasoning(text="hm"), "reasoning"),
        (Reasoning(redacted="x", origin="openai"), "reasoning.signature"),
    ],
)
def test_what_amazon_has_no_place_for_is_told(block, lost):
    assert written(block, "assistant")[1] == [lost]


@pytest.mark.parametrize(
    ("model", "mark", "expected", "lost"),
    [
        (
            "amazon.nova-pro-v1:0",
            CacheMark(ttl="1h"),
            [{"cachePoint": {"type": "default"}}],
            ["content.cache"],
        ),
        ("amazon.nova-pro-v1:0", CacheMark(ttl="5m"), [{"cachePoint": {"type": "default"}}], []),
        ("meta.llama3-v1:0", CacheMark(), [], ["content.cache"]),
    ],
)
def test_a_mark_is_written_where_the_model_caches(model, mark, expected, lost):
    told, found = written(Text(text="x", cache=mark), model=model)

    assert told[1:] == expected
    assert found == lost


def test_citations_that_amazon_gave_go_back_to_it():
    place = Citation(kind="char", document=0, start=1, end=2)
    told, lost = written(Text(text="x", citations=(place,)), "assistant")

    assert "citationsContent" in told[0]
    assert lost == []


def test_no_two_documents_have_one_name():
    writer = Writer(habits_of(CLAUDE), Losses())
    told = [writer.block(Document(text="t", title=title), "user")[0] for title in ("a", "a", "", "")]

    assert [each["document"]["name"] for each in told] == ["a", "a 2", "document", "document 2"]


def test_plain_text_documents_are_bytes_where_nothing_is_cited():
    told, _ = written(Document(text="t"))

    assert base64.b64decode(told[0]["document"]["source"]["bytes"]) == b"t"


@pytest.mark.parametrize("name", ["call|odd", "x" * 65, ""])
def test_an_id_that_amazon_refuses_is_told_as_another_the_same_each_time(name):
    assert tool_id(name) == tool_id(name) != name
    assert len(tool_id(name)) <= 64
