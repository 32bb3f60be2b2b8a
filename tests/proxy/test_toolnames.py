"""Names of tools that a provider refuses."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    BlockStarted,
    Choice,
    CountRequest,
    Delta,
    EmbedRequest,
    GenerateRequest,
    HostedTool,
    Message,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy.dialects import ToolNames
from llmproxy.toolnames import NamingBack, named_back, stand_in, with_names

OPENAI, GEMINI = ToolNames(), ToolNames(signs="-.:", longest=128, letter_first=True)
LONG = "mcp__" + "x" * 70


def talk(*names, **more):
    return GenerateRequest(model="m", tools=tuple(Tool(name=name) for name in names), **more)


def names_of(request):
    return [tool.name for tool in request.tools]


@pytest.mark.parametrize("name", ["look", "a-b_C9", "x" * 64])
def test_a_name_that_is_taken_stays(name):
    assert stand_in(name, OPENAI) == name


@pytest.mark.parametrize(
    ("name", "rule", "told"),
    [
        ("files.read", OPENAI, "files_read"),
        ("files.read", GEMINI, "files.read"),
        ("größe", OPENAI, "gr__e"),
        ("3d", GEMINI, "_3d"),
        ("-x", GEMINI, "_-x"),
        ("", OPENAI, ""),
    ],
)
def test_another_becomes_the_nearest_that_is_taken(name, rule, told):
    assert stand_in(name, rule) == told


def test_a_longer_name_ends_in_its_digest():
    one, other = stand_in(LONG + "1", OPENAI), stand_in(LONG + "2", OPENAI)

    assert len(one) == len(other) == 64
    assert one != other
    assert one[:50] == LONG[:50]


def test_a_request_is_renamed_everywhere_and_its_other_blocks_stay():
    call, result = ToolCall(id="1", name="a.b"), ToolResult(id="1", name="a.b")
    request = talk(
        "a.b",
        "c",
        tool_choice=ToolChoice(mode="required", names=("a.b",)),
        messages=(
            Message(role="assistant", content=(Text(text="a.b"), call)),
            Message(role="user", content=(result,)),
        ),
    )
    told, back = with_names(request, OPENAI)

    assert names_of(told) == ["a_b", "c"]
    assert told.tool_choice.names == ("a_b",)
    assert [block.name for message in told.messages for block in message.content[-1:]] == ["a_b", "a_b"]
    assert told.messages[0].content[0] == Text(text="a.b")
    assert back == {"a_b": "a.b"}


def test_two_names_never_become_one():
    told, back = with_names(talk("a.b", "a_b", "a:b"), OPENAI)

    assert len(set(names_of(told))) == 3
    assert names_of(told)[1] == "a_b"
    assert sorted(back.values()) == ["a.b", "a:b"]


def test_any_number_of_tools_is_renamed():
    tools = tuple(Tool(name=f"tool {number}") for number in range(50_000))
    request, back = with_names(GenerateRequest(model="m", tools=tools), ToolNames())

    assert len(back) == len(tools)
    assert request.tools[0].name == "tool_0"


def test_a_count_is_of_the_same_names():
    told, back = with_names(CountRequest(request=talk("a.b")), OPENAI)

    assert names_of(told.request) == ["a_b"]
    assert back


@pytest.mark.parametrize(
    "request_",
    [
        talk("a", "b"),
        EmbedRequest(model="m", inputs=("x",)),
        GenerateRequest(model="m", tools=(HostedTool(origin="x", kind="y.z", value={}),)),
    ],
)
def test_what_needs_no_other_name_is_the_same_request(request_):
    assert with_names(request_, OPENAI) == (request_, {})


def test_without_a_rule_any_name_stays():
    assert with_names(talk("a.b"), None) == (talk("a.b"), {})


def test_an_answers_calls_have_the_callers_names():
    answer = Answer(choices=(Choice(content=(Text(text="a_b"), ToolCall(id="1", name="a_b"))),))
    told = named_back(answer, {"a_b": "a.b"})

    assert told.choices[0].content == (Text(text="a_b"), ToolCall(id="1", name="a.b"))


def test_a_streams_calls_have_the_callers_names():
    events = [
        BlockStarted(0, ToolCall(id="1", name="a_b", arguments="")),
        Delta(0, "{}"),
        BlockStarted(1, ToolCall(id="2", name="c", arguments="")),
    ]

    class Decoder:
        def feed(self, data):
            return events[:2]

        def close(self):
            return events[2:]

    decoder = NamingBack(Decoder(), {"a_b": "a.b"})
    told = [*decoder.feed(b""), *decoder.close()]

    assert told[0].block.name == "a.b"
    assert told[1:] == events[1:]


@given(st.lists(st.text(min_size=1, max_size=140), max_size=6), st.sampled_from([OPENAI, GEMINI]))
def test_every_name_fits_and_has_its_way_back(names, rule):
    told, back = with_names(talk(*names), rule)
    first = "[A-Za-z_]" if rule.letter_first else f"[A-Za-z0-9_{re.escape(rule.signs)}]"
    fits = re.compile(f"{first}[A-Za-z0-9_{re.escape(rule.signs)}]{{0,{rule.longest - 1}}}")

    assert all(fits.fullmatch(name) for name in names_of(told))
    assert [back.get(name, name) for name in names_of(told)] == names
    assert msgspec.structs.replace(told, tools=()) == talk()
