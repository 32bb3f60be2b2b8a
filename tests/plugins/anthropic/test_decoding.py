from __future__ import annotations

from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    CacheMark,
    CountRequest,
    Document,
    EmbedRequest,
    Foreign,
    Format,
    HostedTool,
    Image,
    Inline,
    Link,
    Losses,
    Message,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy.plugin import BadRequest, ClientRequest, Headers
from llmproxy_anthropic.decoding import decode_generate, decode_request, estimate

from .conftest import asked

WEB = {"type": "web_search_result_location", "url": "u", "cited_text": "q", "encrypted_index": "e"}
HELLO = [{"role": "user", "content": "Hi"}]


def read(**told):
    """Read a request; return it and the losses."""
    losses = Losses()
    request = decode_generate({"model": "m", "messages": HELLO, **told}, losses)
    return request, [loss.field for loss in losses]


def at(path, body=b'{"model":"m","messages":[]}'):
    return decode_request(ClientRequest("POST", path, Headers()), body, Losses())


@pytest.mark.parametrize(
    ("told", "field", "expected"),
    [
        ({"max_tokens": 9}, "max_tokens", 9),
        ({"temperature": 0}, "temperature", 0),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"top_k": 3}, "top_k", 3),
        ({"stream": True}, "streamed", True),
        ({"stop_sequences": ["a", "b"]}, "stop", ("a", "b")),
        ({"metadata": {"user_id": "u"}}, "user", "u"),
        ({"service_tier": "standard_only"}, "service_tier", "default"),
        ({"service_tier": "auto"}, "service_tier", "auto"),
        ({"system": "s"}, "system", (Text(text="s"),)),
        ({"system": []}, "system", ()),
        (
            {"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
            "system",
            (Text(text="s", cache=CacheMark()),),
        ),
        ({"tool_choice": {"type": "auto"}}, "tool_choice", ToolChoice(mode="auto")),
        ({"tool_choice": {"type": "any"}}, "tool_choice", ToolChoice(mode="required")),
        ({"tool_choice": {"type": "none"}}, "tool_choice", ToolChoice(mode="none")),
        (
            {"tool_choice": {"type": "tool", "name": "n"}},
            "tool_choice",
            ToolChoice(mode="required", names=("n",)),
        ),
        ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}, "parallel_tool_calls", False),
        ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}}, "parallel_tool_calls", True),
        ({"tool_choice": {"type": "auto"}}, "parallel_tool_calls", None),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "thinking",
            Thinking(enabled=True, budget=2000),
        ),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            "thinking",
            Thinking(enabled=True, adaptive=True, show="auto"),
        ),
        ({"thinking": {"type": "disabled"}}, "thinking", Thinking(enabled=False)),
        ({"output_config": {"effort": "high"}}, "thinking", Thinking(effort="high")),
        (
            {"output_config": {"effort": "low"}, "thinking": {"type": "adaptive", "display": "omitted"}},
            "thinking",
            Thinking(enabled=True, adaptive=True, effort="low", show="omitted"),
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            "format",
            Format(kind="schema", schema={"type": "object"}),
        ),
        (
            {"output_format": {"type": "json_schema", "schema": {}}},
            "format",
            Format(kind="schema", schema={}),
        ),
        (
            {"tools": [{"name": "n", "description": "d", "input_schema": {}, "strict": True}]},
            "tools",
            (Tool(name="n", description="d", schema={}, strict=True),),
        ),
        (
            {"tools": [{"type": "custom", "name": "n", "cache_control": {"type": "ephemeral", "ttl": "5m"}}]},
            "tools",
            (Tool(name="n", cache=CacheMark(ttl="5m")),),
        ),
        (
            {"tools": [{"type": "web_search_20250305", "name": "w"}]},
            "tools",
            (
                HostedTool(
                    origin="anthropic",
                    kind="web_search_20250305",
                    value={"type": "web_search_20250305", "name": "w"},
                ),
            ),
        ),
    ],
    ids=str,
)
def test_each_member_is_read(told, field, expected):
    request, losses = read(**told)

    assert getattr(request, field) == expected
    assert losses == []


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
        ({"context_management": {"edits": []}}, "context_management"),
        ({"speed": "fast"}, "speed"),
        ({"tools": [{"name": "n", "defer_loading": True}]}, "tools[].defer_loading"),
        ({"metadata": {"new": 1}}, "metadata.new"),
        ({"output_config": {"task_budget": {}}}, "output_config.task_budget"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"messages": [{"role": "user", "content": "a", "id": "x"}]}, "messages[].id"),
    ],
    ids=str,
)
def test_what_has_no_place_is_told(told, field):
    assert read(**told)[1] == [field]


def test_null_says_nothing():
    assert read(container=None, system=None, tools=None, mcp_servers=[], stop_sequences=None)[1] == []


def test_a_version_in_the_body_says_nothing_of_what_is_asked():
    assert read(anthropic_version="vertex-2023-10-16")[1] == []


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"model": 3}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": ["x"]}, "messages[]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[].role"),
        ({"messages": [{"role": "user"}]}, "messages[].content"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": 1}, "stream"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"system": [{"type": "image", "source": {"type": "url", "url": "u"}}]}, "system[].type"),
        ({"tools": [{"name": 1}]}, "tools[].name"),
        ({"tools": [{"name": "n", "input_schema": []}]}, "tools[].input_schema"),
        ({"tools": [{"name": "n", "strict": 1}]}, "tools[].strict"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "all"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "deep"}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": "x"}}, "thinking.budget_tokens"),
        ({"output_config": {"format": {"type": "json_object"}}}, "output_config.format.type"),
        ({"service_tier": 1}, "service_tier"),
    ],
    ids=str,
)
def test_broken_members_are_refused_by_their_place(told, where):
    with pytest.raises(BadRequest) as caught:
        read(**told)

    assert (caught.value.status, caught.value.param) == (400, where)


def test_results_stand_first_and_know_their_calls_names():
    call = {"type": "tool_use", "id": "i", "name": "look", "input": {}}
    back = [{"type": "text", "text": "and"}, {"type": "tool_result", "tool_use_id": "i", "content": "r"}]
    request, _ = read(messages=[{"role": "assistant", "content": [call]}, {"role": "user", "content": back}])

    assert request.messages[0].content == (ToolCall(id="i", name="look"),)
    assert request.messages[1].content == (
        ToolResult(id="i", name="look", content=(Text(text="r"),)),
        Text(text="and"),
    )


def test_calls_without_ids_are_given_some_and_their_results_follow_in_order():
    def call(name):
        return {"type": "tool_use", "id": None, "name": name, "input": {}}

    back = [{"type": "tool_result", "tool_use_id": None, "content": each} for each in ("1", "2", "3")]
    said = [{"role": "assistant", "content": [call("a"), call("b")]}, {"role": "user", "content": back}]
    request, _ = read(messages=said)

    assert [block.id for block in request.messages[0].content] == ["toolu_1", "toolu_2"]
    assert [(block.id, block.name) for block in request.messages[1].content] == [
        ("toolu_1", "a"),
        ("toolu_2", "b"),
        ("", ""),
    ]


def test_citations_mean_nothing_in_instructions():
    cited = [{"type": "text", "text": "a", "citations": [WEB], "cache_control": {"type": "ephemeral"}}]
    request, losses = read(system=cited, messages=[{"role": "system", "content": cited}, *HELLO])

    assert request.system == (Text(text="a", cache=CacheMark()),) * 2
    assert losses == [
        "system[].citations",
        "messages[].content[].citations",
        "messages[].content[].cache_control",
    ]


def test_opening_instructions_are_the_system_and_later_ones_stay_where_they_are():
    first, late = {"role": "system", "content": "a"}, {"role": "system", "content": "b"}
    request, _ = read(system="s", messages=[first, *HELLO, late])

    assert [text.text for text in request.system] == ["s", "a"]
    assert [message.role for message in request.messages] == ["user", "system"]


def test_instructions_that_only_anthropic_knows_are_carried():
    addition = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "n"}}
    request, _ = read(messages=[{"role": "system", "content": [addition]}, *HELLO])

    assert request.messages[0] == Message(
        role="system", content=(Foreign(origin="anthropic", value=addition),)
    )


def test_a_marker_on_the_request_is_one_on_the_last_block():
    request, losses = read(
        cache_control={"type": "ephemeral"}, messages=[*HELLO, {"role": "assistant", "content": ""}]
    )

    assert request.messages[0].content == (Text(text="Hi", cache=CacheMark()),)
    assert losses == ["cache_control"]
    assert read(cache_control={"type": "ephemeral"}, messages=[])[0].messages == ()


def test_counts_are_read_and_other_calls_are_refused():
    assert isinstance(at("/v1/messages/count_tokens"), CountRequest)
    assert at("/v1/messages").messages == ()
    for path in ("/v1/messages/batches", "/v1/complete"):
        with pytest.raises(BadRequest, match="cannot be translated"):
            at(path)


def test_the_input_is_estimated_by_its_texts():
    request, _ = read(
        system="x" * 40,
        tools=[{"name": "n", "description": "y" * 40}],
        messages=[
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "i", "name": "n", "input": {"a": 1}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "i", "content": "z" * 40}]},
        ],
    )

    assert 30 <= estimate(request) <= 40
    assert estimate(CountRequest(request=request)) == estimate(request)
    assert estimate(EmbedRequest(model="m", inputs=())) == 0


def test_a_pictures_size_does_not_count_by_its_bytes():
    picture = Image(source=Inline(media_type="image/png", data="x" * 10**6))
    paper = Document(source=Link(url="u"))
    request, _ = read()
    request = type(request)(model="m", messages=(Message(role="user", content=(picture, paper)),))

    assert estimate(request) < 2000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "metadata",
        "stop_sequences",
        "cache_control",
    ]
)
TYPES = st.sampled_from(
    ["text", "image", "document", "tool_use", "tool_result", "thinking", "search_result", "x"]
)
MEMBERS = st.sampled_from(
    ["text", "source", "content", "id", "name", "input", "citations", "cache_control", "data"]
)
BLOCKS = st.builds(
    lambda kind, rest: {**rest, "type": kind}, TYPES, st.dictionaries(MEMBERS, JSON, max_size=3)
)


@given(st.dictionaries(KEYS, JSON, max_size=3), st.lists(BLOCKS | JSON, max_size=3))
def test_odd_requests_are_read_or_refused_and_nothing_else(members, blocks):
    told = {"model": "m", "messages": [{"role": "user", "content": blocks}], **members}
    with suppress(BadRequest):
        at("/v1/messages", orjson.dumps(told))


@pytest.mark.shared
def test_every_recorded_request_is_read(recordings):
    for told in asked(recordings):
        decode_generate(told, Losses())
