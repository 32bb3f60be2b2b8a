from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import (
    GenerateRequest,
    HostedTool,
    Losses,
    Message,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy.plugin import BadRequest
from llmproxy_gemini.decoding import generate_request
from llmproxy_gemini.fields import members


def decoded(told: dict[str, Any], losses: Losses | None = None) -> GenerateRequest:
    losses = Losses() if losses is None else losses
    return generate_request("m", members({"contents": [], **told}, "body"), losses)


@pytest.mark.parametrize(
    "contents",
    [
        "Hi",
        ["Hi"],
        {"text": "Hi"},
        [{"text": "Hi"}],
        {"parts": {"text": "Hi"}},
        [{"parts": [{"text": "Hi"}], "role": "user"}],
    ],
)
def test_contents_have_many_shapes(contents: object) -> None:
    request = decoded({"contents": contents})

    assert request.messages == (Message(role="user", content=(Text(text="Hi"),)),)


@pytest.mark.parametrize(
    "system",
    [
        {"systemInstruction": {"parts": [{"text": "Be"}], "role": "user"}},
        {"system_instruction": {"parts": {"text": "Be"}}},
        {"systemInstruction": "Be"},
        {"systemInstruction": [{"text": "Be"}, {"text": ""}]},
        {"systemInstruction": {"text": "Be"}},
    ],
)
def test_instructions_have_many_shapes(system: dict[str, Any]) -> None:
    losses = Losses()

    assert decoded(system, losses).system == (Text(text="Be"),)
    assert not losses


def test_calls_and_results_find_each_other() -> None:
    request = decoded(
        {
            "contents": [
                {"role": "model", "parts": [{"functionCall": {"name": n, "args": {"a": n}}} for n in "fg"]},
                {
                    "role": "function",
                    "parts": [
                        {"text": "Look:"},
                        {"functionResponse": {"name": "g", "response": {"output": "2"}}},
                    ],
                },
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "1"}}}]},
            ]
        }
    )

    first, second = request.messages[0].content
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    # Results stand first; those of a later content stay there, for a text came between.
    result, text = request.messages[1].content
    assert result == ToolResult(id=second.id, name="g", content=(Text(text="2"),))
    assert text == Text(text="Look:")
    assert request.messages[2].content == (ToolResult(id=first.id, name="f", content=(Text(text="1"),)),)


def test_results_in_contents_of_their_own_are_one_turn() -> None:
    results = [
        {"role": "user", "parts": [{"functionResponse": {"id": n, "name": "f", "response": {}}}]}
        for n in "ab"
    ]

    request = decoded({"contents": [*results, {"parts": [{"text": "So?"}]}]})

    assert [len(message.content) for message in request.messages] == [2, 1]


def test_tools_of_all_kinds() -> None:
    losses = Losses()
    functions = [
        {"name": "f", "description": "d", "parameters": {"type": "OBJECT"}, "behavior": "BLOCKING"},
        {"name": "g", "parameters_json_schema": {"type": "object", "$ref": "x"}},
        {"name": "h"},
    ]

    request = decoded({"tools": [{"function_declarations": functions}, {"google_search": {}}]}, losses)

    assert request.tools == (
        Tool(name="f", description="d", schema={"type": "object"}),
        Tool(name="g", schema={"type": "object", "$ref": "x"}),
        Tool(name="h"),
        HostedTool(origin="gemini", kind="googleSearch", value={}),
    )
    assert [loss.field for loss in losses] == ["tools[].functionDeclarations[].behavior"]


@pytest.mark.parametrize(
    ("config", "choice", "lost"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto"), 0),
        ({"mode": "any"}, ToolChoice(mode="required"), 0),
        (
            {"mode": "ANY", "allowed_function_names": ["f"]},
            ToolChoice(mode="required", names=("f",)),
            0,
        ),
        ({"mode": "NONE", "allowedFunctionNames": ["f"]}, ToolChoice(mode="none"), 0),
        (
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
            ToolChoice(mode="auto", names=("f",)),
            1,
        ),
        ({"mode": "AUTO", "allowedFunctionNames": ["f"]}, ToolChoice(mode="auto"), 1),
        ({"mode": "MODE_UNSPECIFIED"}, None, 0),
        ({"mode": "AUTO", "streamFunctionCallArguments": True}, ToolChoice(mode="auto"), 1),
    ],
)
def test_a_choice_of_tools(config: dict[str, Any], choice: ToolChoice | None, lost: int) -> None:
    losses = Losses()

    assert decoded({"toolConfig": {"functionCallingConfig": config}}, losses).tool_choice == choice
    assert len(losses) == lost


def test_settings_of_the_request_itself() -> None:
    losses = Losses()

    request = decoded(
        {
            "labels": {"team": "a"},
            "serviceTier": "FLEX",
            "safetySettings": [{"category": "x"}],
            "store": True,
            "modelArmorConfig": {},
            "toolConfig": {"retrievalConfig": {}},
        },
        losses,
    )

    assert request.metadata == {"team": "a"}
    assert request.service_tier == "flex"
    assert {loss.field for loss in losses} == {
        "safetySettings",
        "store",
        "modelArmorConfig",
        "toolConfig.retrievalConfig",
    }


def test_what_only_google_holds_cannot_be_asked_of_others() -> None:
    with pytest.raises(BadRequest) as refused:
        decoded({"cachedContent": "cachedContents/1"})

    assert refused.value.code == "not_translatable"


@pytest.mark.parametrize(
    "told",
    [
        {"contents": None},
        {"contents": 3},
        {"contents": [3]},
        {"contents": [{"role": "system", "parts": []}]},
        {"contents": [{"parts": 3}]},
        {"systemInstruction": 3},
        {"systemInstruction": {"parts": [3]}},
        {"tools": 3},
        {"tools": ["x"]},
        {"tools": [{"functionDeclarations": [{}]}]},
        {"tools": [{"functionDeclarations": [{"name": "f", "parameters": 3}]}]},
        {"toolConfig": 3},
        {"toolConfig": {"functionCallingConfig": {"allowedFunctionNames": 3}}},
        {"labels": 3},
        {"serviceTier": 3},
    ],
)
def test_a_broken_request_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as refused:
        decoded(told)

    assert refused.value.status == 400


def test_none_but_the_model_calls() -> None:
    (message,) = decoded({"contents": [{"parts": [{"functionCall": {"name": "f"}}]}]}).messages

    assert message.role == "assistant"
