from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import CacheMark, GenerateRequest, HostedTool, Losses, Tool, ToolChoice
from llmproxy.plugin import BadField, Quirks
from llmproxy_openai.chat.tools import read_choice, read_tools, write_tools

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
LOOK = {
    "type": "function",
    "function": {"name": "look", "description": "Look.", "parameters": SCHEMA, "strict": True},
}
FIND = {"type": "function", "function": {"name": "find"}}
GRAMMAR = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}
SHELL = {"type": "custom", "custom": {"name": "shell", "format": GRAMMAR}}


def written(request: GenerateRequest, losses: Losses, **quirks: Any) -> dict[str, Any]:
    body: dict[str, Any] = {}
    write_tools(request, body, Quirks(**quirks), losses)
    return body


def asking(*tools: Tool | HostedTool, choice: ToolChoice | None = None, **more: Any) -> GenerateRequest:
    return GenerateRequest(model="m", tools=tools, tool_choice=choice, **more)


@pytest.mark.parametrize("item", [LOOK, FIND, SHELL], ids=["function", "bare", "custom"])
def test_a_tool_comes_back_as_it_went(item: dict[str, Any], losses: Losses) -> None:
    assert written(asking(*read_tools({"tools": [item]}, losses)), losses)["tools"] == [item]
    assert len(losses) == 0


def test_functions_are_tools(losses: Losses) -> None:
    assert read_tools({"functions": [LOOK["function"]]}, losses) == read_tools({"tools": [LOOK]}, losses)


def test_a_custom_tools_value_is_as_the_responses_api_has_it(losses: Losses) -> None:
    [tool] = read_tools({"tools": [SHELL]}, losses)

    value = {
        "type": "custom",
        "name": "shell",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"},
    }
    assert tool == HostedTool("openai", "custom", value)


@pytest.mark.parametrize(
    "item",
    [
        {"cache_control": {"type": "ephemeral"}, **LOOK},
        {"type": "function", "function": {**LOOK["function"], "cache_control": {"type": "ephemeral"}}},
    ],
)  # type: ignore[dict-item]
def test_a_tools_mark_is_read_and_written_where_it_is_taken(item: dict[str, Any], losses: Losses) -> None:
    [tool] = read_tools({"tools": [item]}, losses)
    assert isinstance(tool, Tool)
    assert tool.cache == CacheMark()

    [taken] = written(asking(tool), losses, extras=("cache_control",))["tools"]
    assert taken["cache_control"] == {"type": "ephemeral"}
    assert len(losses) == 0

    written(asking(tool), losses)
    assert "tools.cache" in losses


@pytest.mark.parametrize(
    ("told", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, ToolChoice("auto")),
        ({"tool_choice": "any"}, ToolChoice("required")),
        ({"tool_choice": "none"}, ToolChoice("none")),
        ({"tool_choice": {"type": "function", "function": {"name": "a"}}}, ToolChoice("required", ("a",))),
        ({"tool_choice": {"type": "custom", "custom": {"name": "a"}}}, ToolChoice("required", ("a",))),
        ({"function_call": {"name": "a"}}, ToolChoice("required", ("a",))),
        ({"function_call": "none"}, ToolChoice("none")),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": "auto",
                        "tools": [{"type": "function", "function": {"name": "a"}}],
                    },
                }
            },
            ToolChoice("auto", ("a",)),
        ),
    ],
)
def test_a_choice_is_read(told: dict[str, Any], choice: ToolChoice | None, losses: Losses) -> None:
    assert read_choice(told, losses) == choice


@pytest.mark.parametrize(
    "choice",
    ["sometimes", 7, {"type": "function"}, {"type": "allowed_tools", "allowed_tools": {"mode": "x"}}],
)
def test_a_broken_choice_is_refused(choice: Any, losses: Losses) -> None:
    with pytest.raises(BadField):
        read_choice({"tool_choice": choice}, losses)


def test_a_hosted_tool_cannot_be_forced_here(losses: Losses) -> None:
    assert read_choice({"tool_choice": {"type": "web_search"}}, losses) is None
    assert "tool_choice" in losses


@pytest.mark.parametrize(
    ("choice", "value"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("required"), "any"),
        (ToolChoice("required", ("look",)), {"type": "function", "function": {"name": "look"}}),
    ],
)
def test_a_choice_is_written_in_the_providers_word(choice: ToolChoice, value: Any, losses: Losses) -> None:
    body = written(asking(Tool("look"), Tool("find"), choice=choice), losses, required="any")

    assert body["tool_choice"] == value
    assert len(body["tools"]) == 2


def test_of_several_allowed_tools_the_others_are_not_told(losses: Losses) -> None:
    choice = ToolChoice("required", ("look", "find"))
    body = written(asking(Tool("look"), Tool("find"), Tool("dig"), choice=choice), losses)

    assert [tool["function"]["name"] for tool in body["tools"]] == ["look", "find"]
    assert body["tool_choice"] == "required"


def test_a_custom_tool_is_forced_by_its_kind(losses: Losses) -> None:
    [tool] = read_tools({"tools": [SHELL]}, losses)

    body = written(asking(tool, choice=ToolChoice("required", ("shell",))), losses)
    assert body["tool_choice"] == {"type": "custom", "custom": {"name": "shell"}}


def test_what_the_provider_does_not_run_is_told(losses: Losses) -> None:
    hosted = HostedTool("openai", "web_search", {"type": "web_search"})
    body = written(asking(hosted, choice=ToolChoice("required")), losses)

    assert body == {}
    assert [loss.field for loss in losses] == ["tools.hosted", "tool_choice"]


def test_refused_fields_are_told(losses: Losses) -> None:
    request = asking(Tool("look", strict=True), parallel_tool_calls=False)

    body = written(request, losses, refused=("tools.strict", "parallel_tool_calls"))
    assert body == {"tools": [{"type": "function", "function": {"name": "look"}}]}
    assert [loss.field for loss in losses] == ["tools.strict", "parallel_tool_calls"]
    assert written(request, losses)["parallel_tool_calls"] is False


@pytest.mark.parametrize("tools", [7, [7], [{"type": "function"}], [{"type": "function", "function": {}}]])
def test_a_broken_tool_is_refused(tools: Any, losses: Losses) -> None:
    with pytest.raises(BadField):
        read_tools({"tools": tools}, losses)
