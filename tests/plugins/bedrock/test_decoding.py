import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    CacheMark,
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

from .conftest import HI

HELLO = (Message(role="user", content=(Text(text="hi"),)),)


def read(**members):
    losses = Losses()
    return decode_converse("m", {**HI, **members}, losses), [loss.field for loss in losses]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"modelId": "m"}, {}),
        (
            {"system": [{"text": "be"}, {"cachePoint": {"type": "default"}}]},
            {"system": (Text(text="be", cache=CacheMark()),)},
        ),
        (
            {
                "inferenceConfig": {
                    "maxTokens": 5,
                    "temperature": 0.5,
                    "topP": 0.9,
                    "stopSequences": ["x"],
                }
            },
            {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": ("x",)},
        ),
        ({"requestMetadata": {"a": "b"}}, {"metadata": {"a": "b"}}),
        ({"serviceTier": {"type": "flex"}}, {"service_tier": "flex"}),
        ({"outputConfig": {"effort": "high"}}, {"thinking": Thinking(effort="high")}),
        (
            {
                "outputConfig": {
                    "textFormat": {
                        "type": "json_schema",
                        "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "n"}},
                    }
                }
            },
            {"format": Format(kind="schema", schema={"type": "object"}, name="n")},
        ),
        ({"additionalModelRequestFields": {"top_k": 3}}, {"top_k": 3}),
        ({"guardrailConfig": None, "promptVariables": {}}, {}),
    ],
)
def test_a_member_is_read_without_a_loss(members, expected):
    assert read(**members) == (GenerateRequest(model="m", messages=HELLO, **expected), [])


def test_tools_are_read_with_their_choice():
    spec = {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}, "strict": True}
    config = {
        "tools": [{"toolSpec": spec}, {"cachePoint": {"type": "default"}}, {"systemTool": {"name": "web"}}],
        "toolChoice": {"tool": {"name": "f"}},
    }
    request, lost = read(toolConfig=config)

    assert request.tools == (
        Tool(name="f", description="d", schema={"type": "object"}, strict=True, cache=CacheMark()),
        HostedTool(origin="bedrock", kind="systemTool", value={"systemTool": {"name": "web"}}),
    )
    assert request.tool_choice == ToolChoice(mode="required", names=("f",))
    assert lost == []


@pytest.mark.parametrize(("told", "mode"), [({"auto": {}}, "auto"), ({"any": {}}, "required")])
def test_a_choice_may_leave_the_tool_open(told, mode):
    request, _ = read(toolConfig={"tools": [], "toolChoice": told})

    assert request.tool_choice == ToolChoice(mode=mode)


def test_results_stand_first_and_know_their_calls():
    messages = [
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]},
        {"role": "user", "content": [{"text": "so?"}, {"toolResult": {"toolUseId": "t", "content": []}}]},
    ]
    request, _ = read(messages=messages)

    assert request.messages[0].content == (ToolCall(id="t", name="f"),)
    assert request.messages[1].content == (ToolResult(id="t", name="f"), Text(text="so?"))


def test_instructions_that_open_the_conversation_stand_before_it():
    messages = [{"role": "system", "content": [{"text": "be"}]}, *HI["messages"]]
    request, _ = read(messages=messages)

    assert request.system == (Text(text="be"),)
    assert request.messages == HELLO


@pytest.mark.parametrize(
    "name",
    [
        "guardrailConfig",
        "performanceConfig",
        "additionalModelResponseFieldPaths",
        "promptVariables",
        "tomorrows",
    ],
)
def test_what_the_canonical_form_cannot_hold_is_told(name):
    assert read(**{name: {"a": 1}})[1] == [name]


@pytest.mark.parametrize(
    "members",
    [
        {"messages": None},
        {"messages": {}},
        {"messages": [{"role": "tool", "content": []}]},
        {"messages": [{"role": "user", "content": "hi"}]},
        {"system": "be"},
        {"system": [{"image": {"format": "png", "source": {"bytes": "A"}}}]},
        {"toolConfig": {"tools": [{"toolSpec": {}}]}},
        {"toolConfig": {"tools": [], "toolChoice": {"odd": {}}}},
        {"inferenceConfig": {"maxTokens": "5"}},
        {"outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": "{"}}}}},
    ],
)
def test_a_broken_request_is_refused(members):
    with pytest.raises(BadRequest):
        read(**members)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "text",
                    "role",
                    "content",
                    "toolUse",
                    "toolResult",
                    "image",
                    "source",
                    "bytes",
                    "json",
                    "name",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["messages", "system", "toolConfig", "inferenceConfig", "outputConfig"]), JSON
    )
)
def test_anything_is_read_or_refused(told):
    try:
        request = decode_converse("m", told, Losses())
    except BadRequest:
        return

    assert isinstance(request, GenerateRequest)


@pytest.mark.shared
def test_every_recorded_request_is_read(recordings):
    seen = 0
    for record in recordings:
        body = (record["request"] or {}).get("body")
        if record["dialect"].startswith("bedrock.converse") and isinstance(body, dict):
            request = decode_converse("m", orjson.loads(orjson.dumps(body)), Losses())
            seen += 1

            assert len(request.messages) == len(body["messages"])
    assert seen > 150
