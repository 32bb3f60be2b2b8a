from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    Format,
    GenerateRequest,
    HostedTool,
    Losses,
    Message,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from llmproxy_cohere.decoding import decode_chat
from llmproxy_cohere.encoding import encode_chat

HI = (Message("user", (Text("Hi"),)),)
TOOLS = (Tool("f", "F", {"type": "object"}), Tool("g"))


def encoded(model: str = "command-x", **more: Any) -> tuple[dict[str, Any], list[str]]:
    losses = Losses()
    request = GenerateRequest(model="public", messages=HI, **more)
    body = encode_chat(request, model, losses)
    assert body.pop("model") == model
    assert body.pop("messages") == [{"role": "user", "content": "Hi"}]
    return body, [loss.field for loss in losses]


def test_cohere_s_own_names_are_written() -> None:
    body, lost = encoded(
        max_tokens=9, temperature=0.1, top_p=0.5, top_k=3, seed=7, stop=("END",), logprobs=True, streamed=True
    )

    assert lost == []
    assert body == {
        "max_tokens": 9,
        "temperature": 0.1,
        "p": 0.5,
        "k": 3,
        "seed": 7,
        "stop_sequences": ["END"],
        "logprobs": True,
        "stream": True,
    }


def test_what_is_out_of_bounds_is_brought_back() -> None:
    body, lost = encoded(top_p=1.0, frequency_penalty=2, presence_penalty=-1, stop=tuple("abcdef"))

    assert body == {
        "p": 0.99,
        "frequency_penalty": 1.0,
        "presence_penalty": 0,
        "stop_sequences": list("abcde"),
    }
    assert lost == ["top_p", "frequency_penalty", "presence_penalty", "stop"]


def test_what_has_no_place_is_told_of() -> None:
    _, lost = encoded(
        n=2, min_p=0.1, logit_bias={"1": 2.0}, parallel_tool_calls=False, user="u", service_tier="flex"
    )

    assert sorted(lost) == ["logit_bias", "min_p", "n", "parallel_tool_calls", "service_tier", "user"]


def test_a_tool_without_parameters_takes_an_empty_object() -> None:
    body, _ = encoded(tools=TOOLS, tool_choice=ToolChoice("required"))

    assert body["tool_choice"] == "REQUIRED"
    assert [tool["function"] for tool in body["tools"]] == [
        {"name": "f", "description": "F", "parameters": {"type": "object"}},
        {"name": "g", "parameters": {"type": "object", "properties": {}}},
    ]


def test_where_a_tool_is_named_only_that_is_told_of() -> None:
    body, lost = encoded(tools=TOOLS, tool_choice=ToolChoice("required", ("g",)))

    assert [tool["function"]["name"] for tool in body["tools"]] == ["g"]
    assert (body["tool_choice"], lost) == ("REQUIRED", [])


def test_a_choice_without_tools_is_not_told() -> None:
    assert encoded(tool_choice=ToolChoice("none")) == ({}, [])
    assert "tool_choice" not in encoded(tools=TOOLS, tool_choice=ToolChoice("auto"))[0]


def test_all_tools_are_strict_or_some_are_told_of() -> None:
    strict = Tool("f", strict=True)

    assert encoded(tools=(strict,))[0]["strict_tools"] is True
    assert encoded(tools=(strict, Tool("g")))[1] == ["tools.strict"]
    assert encoded(tools=(HostedTool("gemini", "search", {}),)) == ({}, ["tools.hosted"])


def test_json_may_have_a_schema() -> None:
    assert encoded(format=Format("json"))[0]["response_format"] == {"type": "json_object"}
    schema = {"type": "object"}
    assert encoded(format=Format("schema", schema))[0]["response_format"] == {
        "type": "json_object",
        "json_schema": schema,
    }


@pytest.mark.parametrize(
    ("thinking", "written"),
    [
        (Thinking(enabled=True, budget=50), {"type": "enabled", "token_budget": 50}),
        (Thinking(effort="high"), {"type": "enabled"}),
        (Thinking(effort="none"), {"type": "disabled"}),
        (Thinking(enabled=False), {"type": "disabled"}),
        (Thinking(budget=0), {"type": "disabled"}),
        (Thinking(adaptive=True), {"type": "enabled"}),
        (Thinking(), None),
    ],
)
def test_thinking_is_a_switch_with_a_budget(thinking: Thinking, written: dict[str, Any] | None) -> None:
    assert encoded(thinking=thinking)[0].get("thinking") == written


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    assert encoded("command-a-03-2025", thinking=Thinking(effort="high")) == ({}, ["thinking"])
    assert encoded("command-a-03-2025", thinking=Thinking(enabled=False)) == ({}, [])


REQUESTS = st.builds(
    GenerateRequest,
    model=st.just("m"),
    messages=st.just(HI),
    system=st.lists(st.builds(Text, text=st.text(min_size=1, max_size=5)), max_size=1).map(tuple),
    tools=st.sampled_from([(), (Tool("f", "F", {"type": "object"}),)]),
    max_tokens=st.none() | st.integers(1, 9),
    temperature=st.none() | st.floats(0, 1),
    top_p=st.none() | st.floats(0.01, 0.99),
    top_k=st.none() | st.integers(1, 9),
    seed=st.none() | st.integers(0, 9),
    stop=st.lists(st.text(max_size=3), max_size=5).map(tuple),
    logprobs=st.none() | st.booleans(),
    format=st.none() | st.builds(Format, kind=st.just("json")),
    thinking=st.none() | st.builds(Thinking, enabled=st.just(True), budget=st.none() | st.integers(1, 9)),
    streamed=st.booleans(),
)


@given(REQUESTS)
def test_what_is_written_reads_the_same(request_: GenerateRequest) -> None:
    losses = Losses()

    body = encode_chat(request_, "m", losses)

    assert decode_chat(body, losses, streamed=request_.streamed) == request_
    assert list(losses) == []
