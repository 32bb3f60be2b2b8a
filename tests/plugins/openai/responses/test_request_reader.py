from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxy.canonical import (
    CountRequest,
    Format,
    GenerateRequest,
    HostedTool,
    Losses,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from llmproxy.plugin import BadRequest
from llmproxy.testing import make_exchange
from llmproxy_openai.responses.request_reader import decode_request

if TYPE_CHECKING:
    from .conftest import AskedFor

LOOK = {
    "type": "function",
    "name": "look",
    "description": "d",
    "parameters": {"type": "object"},
    "strict": True,
}


def read(told: dict[str, Any], losses: Losses | None = None, path: str = "/v1/responses") -> GenerateRequest:
    body = orjson.dumps({"model": "m", "input": "hello", **told})
    exchange = make_exchange(path=path, body=body)
    request = decode_request(exchange, body, losses if losses is not None else Losses())
    assert isinstance(request, GenerateRequest)
    return request


def test_a_whole_request_is_read_without_a_loss() -> None:
    losses = Losses()
    request = read(
        {
            "instructions": "be brief",
            "input": [{"role": "system", "content": "more"}, {"role": "user", "content": "hello"}],
            "tools": [LOOK, {"type": "web_search"}],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "max_output_tokens": 99,
            "temperature": 0.5,
            "top_p": 1,
            "top_logprobs": 2,
            "include": ["reasoning.encrypted_content"],
            "text": {"format": {"type": "json_object"}, "verbosity": "low"},
            "reasoning": {"effort": "high", "summary": "auto"},
            "metadata": {"a": "b"},
            "service_tier": "flex",
            "prompt_cache_key": "k",
            "safety_identifier": "u",
            "store": False,
            "truncation": "disabled",
            "stream": True,
            "stream_options": {"include_obfuscation": False},
        },
        losses,
    )

    assert request.system == (Text(text="be brief"), Text(text="more"))
    assert request.tools == (
        Tool(name="look", description="d", schema={"type": "object"}, strict=True),
        HostedTool(origin="openai", kind="web_search", value={"type": "web_search"}),
    )
    assert request.tool_choice == ToolChoice(mode="auto")
    assert (request.parallel_tool_calls, request.max_tokens, request.temperature, request.top_p) == (
        False,
        99,
        0.5,
        1,
    )
    assert (request.logprobs, request.top_logprobs) == (True, 2)
    assert request.format == Format(kind="json")
    assert request.thinking == Thinking(enabled=True, effort="high", show="auto")
    assert (request.metadata, request.service_tier, request.prompt_cache_key) == ({"a": "b"}, "flex", "k")
    assert (request.user, request.verbosity, request.streamed) == ("u", "low", True)
    assert not len(losses)


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    losses = Losses()
    form = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    told = {"type": "custom", "name": "patch", "description": "d", "format": form}

    request = read({"tools": [told], "tool_choice": {"type": "custom", "name": "patch"}}, losses)

    (tool,) = request.tools
    assert isinstance(tool, Tool)
    assert (tool.name, list((tool.schema or {})["properties"])) == ("patch", ["input"])
    assert "start: x" in tool.description
    assert request.tool_choice == ToolChoice(mode="required", names=("patch",))
    assert [loss.field for loss in losses] == ["tools[].format"]


@pytest.mark.parametrize(
    ("told", "choice"),
    [
        ("none", ToolChoice(mode="none")),
        ({"type": "function", "name": "look"}, ToolChoice(mode="required", names=("look",))),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "a"}, {"name": "b"}],
            },
            ToolChoice(mode="auto", names=("a", "b")),
        ),
        (None, None),
    ],
)
def test_a_choice_of_tools_is_read(told: Any, choice: ToolChoice | None) -> None:
    assert read({"tool_choice": told}).tool_choice == choice


def test_a_schema_is_read_with_its_name() -> None:
    form = {
        "type": "json_schema",
        "name": "n",
        "description": "d",
        "schema": {"type": "object"},
        "strict": False,
    }

    assert read({"text": {"format": form}}).format == Format(
        kind="schema", name="n", description="d", schema={"type": "object"}, strict=False
    )


@pytest.mark.parametrize(
    ("told", "thinking"),
    [
        ({"effort": "none"}, Thinking(enabled=False, effort="none")),
        ({"summary": "detailed"}, Thinking(show="detailed")),
        ({"generate_summary": "auto"}, Thinking(show="auto")),
        ({}, None),
        (None, None),
    ],
)
def test_thinking_is_asked_for_by_effort_and_summary(told: Any, thinking: Thinking | None) -> None:
    assert read({"reasoning": told}).thinking == thinking


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"truncation": "auto"}, "truncation"),
        ({"include": ["file_search_call.results"]}, "include"),
        ({"max_tool_calls": 3}, "max_tool_calls"),
        ({"user": "a", "safety_identifier": "b"}, "user"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"reasoning": {"effort": "low", "mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"summary": "auto", "generate_summary": "concise"}}, "reasoning.generate_summary"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools", "tools": [{"type": "mcp"}]}}, "tool_choice.tools[]"),
        ({"tools": [{**LOOK, "defer_loading": True}]}, "tools[].defer_loading"),
        ({"text": {"tone": "warm"}}, "text.tone"),
    ],
)
def test_what_has_no_place_is_reported(told: dict[str, Any], field: str) -> None:
    losses = Losses()

    read(told, losses)

    assert field in losses


@pytest.mark.parametrize(
    ("told", "canonical", "name"),
    [
        ({}, "max_tokens", "max_output_tokens"),
        ({"safety_identifier": "u"}, "user", "safety_identifier"),
        ({"reasoning": {"generate_summary": "auto"}}, "thinking.show", "reasoning.generate_summary"),
    ],
)
def test_later_losses_are_told_by_the_callers_names(told: dict[str, Any], canonical: str, name: str) -> None:
    losses = Losses({"max_tokens": "max_completion_tokens"})

    read(told, losses)
    losses.lose(canonical)

    assert name in losses


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"input": []}, "input"),
        ({"input": 1}, "input"),
        ({"tools": [{"type": "function"}]}, "tools[].name"),
        ({"tools": [1]}, "tools[]"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"metadata": []}, "metadata"),
        ({"store": "yes"}, "store"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name(told: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(told)

    assert caught.value.status == 400
    assert getattr(caught.value, "param", None) == param


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        decode_request(make_exchange(path="/v1/responses"), body, Losses())


def test_a_call_that_counts_tokens_asks_for_no_answer() -> None:
    body = b'{"model":"m","input":"hello"}'
    exchange = make_exchange(path="/v1/responses/input_tokens", body=body)

    assert isinstance(decode_request(exchange, body, Losses()), CountRequest)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/responses/resp_1"), ("POST", "/v1/responses/compact")]
)
def test_other_calls_are_not_translated(method: str, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        decode_request(make_exchange(method, path), b"{}", Losses())

    assert caught.value.code == "no_translation"


def test_input_may_be_left_to_an_earlier_response(asked_for: AskedFor) -> None:
    assert read({"input": None, "previous_response_id": "resp_1"}).messages == ()


MEMBERS = (
    "type",
    "role",
    "content",
    "text",
    "name",
    "arguments",
    "call_id",
    "output",
    "summary",
    "id",
    "tools",
    "mode",
    "format",
    "schema",
    "effort",
)

json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(MEMBERS),
            inner
            | st.sampled_from(["message", "function_call", "reasoning", "input_file", "function", "user"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)
KEYS = (
    "input",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "include",
    "metadata",
    "stream_options",
    "instructions",
    "top_logprobs",
)


@given(st.dictionaries(st.sampled_from(KEYS), json, max_size=4))
@settings(max_examples=300)
def test_nothing_but_a_clear_refusal_comes_of_broken_requests(told: dict[str, Any]) -> None:
    with contextlib.suppress(BadRequest):
        read(told)
