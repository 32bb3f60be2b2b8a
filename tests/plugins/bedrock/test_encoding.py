from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.canonical.made import RESULTS, TOLD

from llmproxy.canonical import (
    CountRequest,
    EmbedRequest,
    Format,
    GenerateRequest,
    HostedTool,
    Losses,
    Message,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy.plugin import BadRequest
from llmproxy_bedrock.decoding import decode_converse
from llmproxy_bedrock.encoding import encode_request, write_body

from .conftest import made_exchange

CLAUDE, NEW, NOVA = "anthropic.claude-sonnet-4-5-v1:0", "anthropic.claude-opus-4-7-v1", "amazon.nova-pro-v1:0"
HELLO = (Message(role="user", content=(Text(text="hi"),)),)
TOOL = Tool(name="f", description="d", schema={"type": "object", "properties": {}})
SPEC = {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": TOOL.schema}}}
OPEN = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}


def written(model=CLAUDE, **asked):
    losses = Losses()
    body = write_body(model, GenerateRequest(model="m", **{"messages": HELLO, **asked}), losses)
    body.pop("messages")
    return body, [loss.field for loss in losses]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {}),
        ({"system": (Text(text="be"), Text(text=" "))}, {"system": [{"text": "be"}]}),
        (
            {"max_tokens": 5, "temperature": 0.5, "stop": ("x",)},
            {"inferenceConfig": {"maxTokens": 5, "temperature": 0.5, "stopSequences": ["x"]}},
        ),
        ({"top_k": 3}, {"additionalModelRequestFields": {"top_k": 3}}),
        ({"service_tier": "flex"}, {"serviceTier": {"type": "flex"}}),
        ({"service_tier": "auto"}, {}),
        ({"metadata": {"a": 1}}, {"requestMetadata": {"a": "1"}}),
        ({"tools": (TOOL,)}, {"toolConfig": {"tools": [SPEC]}}),
        (
            {"tools": (TOOL,), "tool_choice": ToolChoice(mode="required")},
            {"toolConfig": {"tools": [SPEC], "toolChoice": {"any": {}}}},
        ),
        (
            {"tools": (TOOL,), "tool_choice": ToolChoice(mode="required", names=("f",))},
            {"toolConfig": {"tools": [SPEC], "toolChoice": {"tool": {"name": "f"}}}},
        ),
        ({"tools": (TOOL,), "tool_choice": ToolChoice(mode="none")}, {}),
        (
            {
                "tools": (
                    HostedTool(origin="bedrock", kind="systemTool", value={"systemTool": {"name": "w"}}),
                )
            },
            {"toolConfig": {"tools": [{"systemTool": {"name": "w"}}]}},
        ),
    ],
)
def test_a_field_is_written_without_a_loss(asked, expected):
    assert written(**asked) == (expected, [])


@pytest.mark.parametrize(
    ("model", "asked", "lost"),
    [
        (CLAUDE, {"seed": 1}, ["seed"]),
        (CLAUDE, {"user": "u"}, ["user"]),
        (CLAUDE, {"n": 2}, ["n"]),
        (CLAUDE, {"modalities": ("audio",)}, ["modalities"]),
        (CLAUDE, {"temperature": 1.5}, ["temperature"]),
        (CLAUDE, {"temperature": 1, "top_p": 0.5}, ["top_p"]),
        (NEW, {"temperature": 0, "top_k": 3}, ["temperature", "top_k"]),
        (CLAUDE, {"stop": (" ",)}, ["stop"]),
        (NOVA, {"stop": (" ",)}, []),
        (CLAUDE, {"service_tier": "scale"}, ["service_tier"]),
        (CLAUDE, {"tools": (TOOL,), "parallel_tool_calls": False}, ["parallel_tool_calls"]),
        (
            CLAUDE,
            {"tools": (TOOL,), "tool_choice": ToolChoice(mode="auto", names=("f", "g"))},
            ["tool_choice.names"],
        ),
        (CLAUDE, {"tool_choice": ToolChoice(mode="required")}, ["tool_choice"]),
        (CLAUDE, {"tools": (HostedTool(origin="openai", kind="x", value={}),)}, ["tools.hosted"]),
        (NOVA, {"tools": (Tool(name="f", strict=True),)}, ["tools.strict"]),
        (CLAUDE, {"thinking": Thinking(budget=1024), "temperature": 0.5}, ["temperature"]),
        (
            CLAUDE,
            {"format": Format(kind="schema", schema=OPEN, strict=False)},
            ["format.strict", "format.schema"],
        ),
        (NOVA, {"format": Format(kind="schema", schema=OPEN)}, ["format.schema", "format"]),
        (CLAUDE, {"format": Format(kind="json")}, ["format"]),
        (CLAUDE, {"messages": (), "system": (Text(text="be"),)}, ["system"]),
    ],
)
def test_what_amazon_has_no_place_for_is_told(model, asked, lost):
    assert written(model, **asked)[1] == lost


def test_a_schema_is_text_within_the_request():
    body, _ = written(format=Format(kind="schema", schema=OPEN, name="n"))
    inner = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]

    assert inner["name"] == "n"
    assert orjson.loads(inner["schema"])["additionalProperties"] is False


def test_a_conversation_that_called_tools_is_never_without_them():
    talk = (
        *HELLO,
        Message(role="assistant", content=(ToolCall(id="t", name="f"),)),
        Message(role="user", content=(ToolResult(id="t", name="f"),)),
    )
    bare, lost = written(messages=talk)
    barred, told = written(messages=talk, tools=(TOOL,), tool_choice=ToolChoice(mode="none"))

    assert bare["toolConfig"]["tools"][0]["toolSpec"]["name"] == "f"
    assert lost == ["tools"]
    assert barred["toolConfig"] == {"tools": [SPEC]}
    assert told == ["tool_choice"]


@pytest.mark.parametrize(
    ("request_", "target"),
    [
        (GenerateRequest(model="m", messages=HELLO), "/model/a.b%3A0/converse"),
        (GenerateRequest(model="m", messages=HELLO, streamed=True), "/model/a.b%3A0/converse-stream"),
        (CountRequest(request=GenerateRequest(model="m", messages=HELLO)), "/model/a.b%3A0/count-tokens"),
    ],
)
def test_the_call_is_in_the_path(request_, target):
    caller = made_exchange(headers={"x-amz-date": "1", "x-request-id": "r", "authorization": "no"}).request
    wire = encode_request(caller, "a.b:0", request_, Losses())

    assert wire is not None
    assert wire.target == target
    assert {name.lower() for name, _ in wire.headers.raw} == {b"x-request-id", b"content-type", b"accept"}


def test_there_are_no_embeddings_and_no_names_that_lead_elsewhere():
    caller = made_exchange().request

    assert encode_request(caller, "m", EmbedRequest(model="m", inputs=("x",)), Losses()) is None
    with pytest.raises(BadRequest):
        encode_request(caller, "../x", GenerateRequest(model="m", messages=HELLO), Losses())


@given(
    st.lists(
        st.builds(
            Message,
            role=st.sampled_from(["user", "assistant", "system"]),
            content=st.lists(TOLD | RESULTS, max_size=3).map(tuple),
        ),
        max_size=4,
    )
)
def test_any_conversation_can_be_written_and_read_again(messages):
    request = GenerateRequest(model="m", messages=tuple(messages))
    body = orjson.loads(orjson.dumps(write_body("m", request, Losses())))
    roles = [turn["role"] for turn in body["messages"]]

    assert all(one != other for one, other in pairwise(roles))
    try:
        again = decode_converse("m", body, Losses())
    except BadRequest:
        return  # of what a foreign block holds nothing is known
    once_more = write_body("m", again, Losses())
    assert decode_converse("m", once_more, Losses()).messages == again.messages
