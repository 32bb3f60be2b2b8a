import pytest

from llmproxy.canonical import (
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
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy.plugin import BadField
from llmproxy_anthropic.blocks import read_block, read_cache, read_content

MARK = {"type": "ephemeral", "ttl": "1h"}
PNG = {"type": "base64", "media_type": "image/png", "data": "eA=="}
PAGE = {
    "type": "page_location",
    "cited_text": "q",
    "document_index": 0,
    "start_page_number": 1,
    "end_page_number": 2,
}


def read(block):
    """Read one block; return what came of it, and the losses."""
    losses, out = Losses(), []
    read_block(block, "b", losses, out)
    return out, [loss.field for loss in losses]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"type": "text", "text": "a"}, Text(text="a")),
        ({"type": "text", "text": "a", "cache_control": MARK}, Text(text="a", cache=CacheMark(ttl="1h"))),
        (
            {"type": "text", "text": "a", "citations": [PAGE]},
            Text(text="a", citations=(Citation(kind="page", quote="q", document=0, start=1, end=2),)),
        ),
        ({"type": "image", "source": PNG}, Image(source=Inline(media_type="image/png", data="eA=="))),
        ({"type": "image", "source": {"type": "url", "url": "u"}}, Image(source=Link(url="u"))),
        (
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
            Image(source=FileRef(id="f", dialect="anthropic")),
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                "title": "t",
                "context": "c",
                "citations": {"enabled": True},
                "cache_control": {"type": "ephemeral"},
            },
            Document(text="d", title="t", context="c", cite=True, cache=CacheMark()),
        ),
        ({"type": "document", "source": {"type": "url", "url": "u"}}, Document(source=Link(url="u"))),
        (
            {"type": "document", "source": {"type": "content", "content": "d"}, "title": None},
            Document(text="d"),
        ),
        (
            {"type": "tool_use", "id": "i", "name": "n", "input": {"b": 1, "a": [2]}},
            ToolCall(id="i", name="n", arguments='{"b":1,"a":[2]}'),
        ),
        (
            {"type": "tool_use", "id": "i", "name": "n", "input": {}, "caller": {"type": "direct"}},
            ToolCall(id="i", name="n"),
        ),
        ({"type": "tool_result", "tool_use_id": "i"}, ToolResult(id="i")),
        (
            {"type": "tool_result", "tool_use_id": "i", "content": "r", "is_error": True},
            ToolResult(id="i", content=(Text(text="r"),), is_error=True),
        ),
        (
            {"type": "tool_result", "tool_use_id": "i", "content": [{"type": "image", "source": PNG}]},
            ToolResult(id="i", content=(Image(source=Inline(media_type="image/png", data="eA==")),)),
        ),
        (
            {"type": "thinking", "thinking": "h", "signature": "s"},
            Reasoning(text="h", signature="s", origin="anthropic"),
        ),
        ({"type": "redacted_thinking", "data": "d"}, Reasoning(redacted="d", origin="anthropic")),
        (
            {"type": "server_tool_use", "id": "i"},
            Foreign(origin="anthropic", value={"type": "server_tool_use", "id": "i"}),
        ),
    ],
    ids=lambda told: told["type"] if isinstance(told, dict) else "",
)
def test_each_block_is_read(told, expected):
    assert read(told) == ([expected], [])


@pytest.mark.parametrize(
    "told", [{"type": "text", "text": ""}, {"type": "thinking", "thinking": "", "signature": ""}]
)
def test_empty_blocks_are_nothing(told):
    assert read(told) == ([], [])


def test_a_search_result_becomes_a_document_and_says_so():
    told = {
        "type": "search_result",
        "source": "https://a",
        "title": "t",
        "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}],
        "citations": {"enabled": True},
    }

    assert read(told) == (
        [Document(text="x\ny", title="t", context="https://a", cite=True)],
        ["b.content", "b"],
    )


def test_pictures_of_a_document_stand_behind_it():
    content = [{"type": "text", "text": "x"}, {"type": "image", "source": PNG}]
    blocks, losses = read({"type": "document", "source": {"type": "content", "content": content}})

    assert [type(block) for block in blocks] == [Document, Image]
    assert losses == ["b.source.content"]


def test_what_stands_within_a_result_is_plain_and_says_so():
    inner = [
        {"type": "text", "text": "x", "citations": [PAGE]},
        {"type": "document", "source": {"type": "url", "url": "u"}, "citations": {"enabled": True}},
        {"type": "text", "text": "y", "cache_control": MARK},
    ]

    assert read({"type": "tool_result", "tool_use_id": "i", "content": inner}) == (
        [
            ToolResult(
                id="i",
                content=(Text(text="x"), Document(source=Link(url="u")), Text(text="y")),
                cache=CacheMark(ttl="1h"),
            )
        ],
        ["b.content[].citations", "b.content[].cache_control"],
    )


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"type": "text", "text": "a", "new": 1}, "b.new"),
        ({"type": "text", "text": "a", "citations": [{"type": "new_location"}]}, "b.citations"),
        ({"type": "image", "source": PNG, "transformations": {}}, "b.transformations"),
        ({"type": "tool_use", "id": "i", "name": "n", "caller": {"type": "code_execution"}}, "b.caller"),
        ({"type": "tool_result", "tool_use_id": "i", "toolset_name": "t"}, "b.toolset_name"),
        ({"type": "thinking", "thinking": "h", "signature": "", "new": 1}, "b.new"),
    ],
)
def test_what_has_no_place_is_told(told, field):
    assert read(told)[1] == [field]


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ("x", "b"),
        ({}, "b.type"),
        ({"type": 1}, "b.type"),
        ({"type": "text"}, "b.text"),
        ({"type": "text", "text": "a", "cache_control": "x"}, "b.cache_control"),
        ({"type": "text", "text": "a", "cache_control": {"ttl": 5}}, "b.cache_control.ttl"),
        ({"type": "text", "text": "a", "citations": "x"}, "b.citations"),
        ({"type": "image"}, "b.source"),
        ({"type": "image", "source": {"type": "new"}}, "b.source.type"),
        ({"type": "image", "source": {"type": "base64", "data": "x"}}, "b.source.media_type"),
        ({"type": "document", "source": {"type": "new"}}, "b.source.type"),
        ({"type": "tool_use", "id": "i", "name": "n", "input": "x"}, "b.input"),
        ({"type": "tool_use", "id": 1, "name": "n"}, "b.id"),
        ({"type": "tool_result", "tool_use_id": "i", "content": 3}, "b.content"),
        ({"type": "redacted_thinking"}, "b.data"),
    ],
    ids=str,
)
def test_a_broken_block_is_refused_by_its_place(told, where):
    with pytest.raises(BadField) as caught:
        read(told)

    assert caught.value.param == where


def test_a_string_is_text_and_an_empty_one_nothing():
    assert read_content("a", "c", None) == [Text(text="a")]
    assert read_content("", "c", None) == []


def test_no_marker_is_none():
    assert read_cache(None, "c") is None
