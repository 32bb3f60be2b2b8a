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
    Losses,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy.plugin import BadField
from llmproxy_bedrock.blocks import is_hosted, read_cache, read_content

BYTES = {"bytes": "AAAA"}


def read(*blocks):
    losses = Losses()
    return read_content(list(blocks), "content", losses), [loss.field for loss in losses]


@pytest.mark.parametrize(
    ("told", "block"),
    [
        ({"text": "hi"}, Text(text="hi")),
        (
            {"image": {"format": "jpeg", "source": BYTES}},
            Image(source=Inline(media_type="image/jpeg", data="AAAA")),
        ),
        (
            {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/x"}}}},
            Video(source=FileRef(id="s3://b/x", dialect="bedrock", media_type="video/mp4")),
        ),
        (
            {"audio": {"format": "mp3", "source": BYTES}},
            Audio(source=Inline(media_type="audio/mpeg", data="AAAA")),
        ),
        (
            {"document": {"format": "pdf", "name": "n", "source": BYTES, "citations": {"enabled": True}}},
            Document(source=Inline(media_type="application/pdf", data="AAAA"), title="n", cite=True),
        ),
        (
            {"document": {"name": "n", "source": {"text": "t"}, "context": "c"}},
            Document(text="t", title="n", context="c"),
        ),
        (
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}, "type": "tool_use"}},
            ToolCall(id="t", name="f", arguments='{"a":1}'),
        ),
        ({"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}, ToolCall(id="t", name="f")),
        (
            {
                "toolResult": {
                    "toolUseId": "t",
                    "content": [{"text": "x"}, {"json": {"a": 1}}],
                    "status": "error",
                }
            },
            ToolResult(id="t", content=(Text(text="x"), Text(text='{"a":1}')), is_error=True),
        ),
        ({"reasoningContent": {"reasoningText": {"text": "hm"}}}, Reasoning(text="hm")),
        (
            {
                "citationsContent": {
                    "content": [{"text": "a"}, {"text": "b"}],
                    "citations": [{"location": {"web": {"url": "u"}}}],
                }
            },
            Text(text="ab", citations=(Citation(kind="url", url="u"),)),
        ),
        ({"tomorrows": {"a": 1}}, Foreign(origin="bedrock", value={"tomorrows": {"a": 1}})),
        (
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {}, "type": "server_tool_use"}},
            Foreign(
                origin="bedrock",
                value={"toolUse": {"toolUseId": "t", "name": "f", "input": {}, "type": "server_tool_use"}},
            ),
        ),
    ],
)
def test_a_block_is_read_without_a_loss(told, block):
    assert read(told) == ([block], [])


@pytest.mark.parametrize(
    ("told", "block", "lost"),
    [
        (
            {"guardContent": {"text": {"text": "x", "qualifiers": ["query"]}}},
            Text(text="x"),
            "content[].guardContent",
        ),
        (
            {
                "searchResult": {
                    "source": "https://x",
                    "title": "T",
                    "content": [{"text": "a"}, {"text": "b"}],
                    "citations": {"enabled": True},
                }
            },
            Document(text="a\nb", title="T", context="https://x", cite=True),
            "content[].searchResult",
        ),
        (
            {"document": {"name": "n", "source": {"content": [{"text": "a"}, {"text": "b"}]}}},
            Document(text="a\nb", title="n"),
            "content[].document.source.content",
        ),
        (
            {"image": {"format": "png", "source": BYTES, "error": {"message": "x"}}},
            Image(source=Inline(media_type="image/png", data="AAAA")),
            "content[].image.error",
        ),
        (
            {"citationsContent": {"content": [{"text": "a"}], "citations": [{"location": {}}]}},
            Text(text="a"),
            "content[].citationsContent.citations",
        ),
    ],
)
def test_what_the_canonical_form_cannot_hold_is_told(told, block, lost):
    assert read(told) == ([block], [lost])


def test_a_cache_point_marks_what_it_follows():
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}

    assert read({"text": "a"}, point)[0] == [Text(text="a", cache=CacheMark(ttl="1h"))]
    assert read(point, {"text": "a"}) == ([Text(text="a")], ["content[].cachePoint"])
    result = {"toolResult": {"toolUseId": "t", "content": [{"text": "a"}, point]}}
    assert read(result)[0] == [ToolResult(id="t", content=(Text(text="a"),), cache=CacheMark(ttl="1h"))]
    assert read_cache({"type": "default"}, "x") == CacheMark()


def test_empty_text_is_left_out():
    assert read({"text": ""}) == ([], [])


@pytest.mark.parametrize(
    "told",
    [
        1,
        {},
        {"text": 1},
        {"text": "a", "image": {}},
        {"image": {"source": BYTES}},
        {"toolUse": {"toolUseId": "t"}},
        {"guardContent": {"other": 1}},
    ],
)
def test_a_broken_block_is_refused(told):
    with pytest.raises(BadField):
        read(told)


def test_an_ordinary_call_may_say_so_of_itself():
    assert not is_hosted({"type": "tool_use"})
    assert is_hosted({"type": "server_tool_use"})
