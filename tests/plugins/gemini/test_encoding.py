from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest

from llmproxy.canonical import (
    CacheMark,
    Format,
    GenerateRequest,
    HostedTool,
    Image,
    Inline,
    Losses,
    Message,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy_gemini.encoding import UNSIGNED, write_request

CALL = Message(role="assistant", content=(ToolCall(id="c1", name="f"), ToolCall(id="c2", name="g")))
RESULTS = [
    Message(role="user", content=(ToolResult(id=f"c{n}", name=name, content=(Text(text="x"),)),))
    for n, name in ((1, "f"), (2, "g"))
]


def written(losses: Losses | None = None, model: str = "gemini-2.5-flash", **fields: Any) -> dict[str, Any]:
    request = GenerateRequest(model="m", **fields)
    return write_request(request, model, Losses() if losses is None else losses)


def test_what_stays_stands_first() -> None:
    body = written(
        messages=(Message(role="user", content=(Text(text="Hi"),)),),
        system=(Text(text="Be"), Text(text="")),
        tools=(Tool(name="f"),),
        tool_choice=ToolChoice(mode="auto"),
        max_tokens=3,
        service_tier="flex",
    )

    assert list(body) == [
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "serviceTier",
        "contents",
    ]
    assert body["systemInstruction"] == {"parts": [{"text": "Be"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


def test_each_turns_body_begins_as_the_one_before() -> None:
    turns = [Message(role="user", content=(Text(text="Hi"),)), CALL, *RESULTS]
    bodies = [
        orjson.dumps(written(model="gemini-3-pro", messages=tuple(turns[:n]), system=(Text(text="Be"),)))
        for n in (1, 2, 4)
    ]

    for before, after in pairwise(bodies):
        assert after.startswith(before.removesuffix(b"]}"))


def test_all_results_of_a_turn_stand_in_one_content() -> None:
    body = written(messages=(CALL, *RESULTS, Message(role="user", content=(Text(text="So?"),))))

    assert [len(content["parts"]) for content in body["contents"]] == [2, 2, 1]


def test_media_of_results_follow_all_of_them() -> None:
    image = Image(source=Inline(media_type="image/png", data="QQ=="))
    results = tuple(ToolResult(id=n, name="f", content=(image,)) for n in "ab")

    body = written(messages=(Message(role="user", content=(*results, Text(text="So?"))),))

    assert [next(iter(part)) for part in body["contents"][0]["parts"]] == [
        "functionResponse",
        "functionResponse",
        "inlineData",
        "inlineData",
        "text",
    ]


def test_the_first_call_of_a_turn_is_signed_for_gemini_3() -> None:
    losses = Losses()

    body = written(losses, "gemini-3-pro", messages=(CALL,))

    first, second = body["contents"][0]["parts"]
    assert first["thoughtSignature"] == UNSIGNED
    assert "thoughtSignature" not in second
    assert "tool_call.signature" in losses


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3-pro"])
def test_a_signature_that_is_there_is_given_back(model: str) -> None:
    losses = Losses()
    call = Message(role="assistant", content=(ToolCall(id="c", name="f", signature="s"),))

    body = written(losses, model, messages=(call,))

    assert body["contents"][0]["parts"][0]["thoughtSignature"] == "s"
    assert not losses


def test_older_models_need_no_signature() -> None:
    losses = Losses()

    body = written(losses, messages=(CALL,))

    assert not any("thoughtSignature" in part for part in body["contents"][0]["parts"])
    assert not losses


def test_tools_keep_their_order() -> None:
    body = written(
        tools=(
            Tool(name="f", description="d", schema={"type": "object", "$ref": "x"}),
            Tool(name="g"),
            HostedTool(origin="gemini", kind="googleSearch", value={}),
            Tool(name="h"),
        )
    )

    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object", "$ref": "x"}},
                {"name": "g"},
            ]
        },
        {"googleSearch": {}},
        {"functionDeclarations": [{"name": "h"}]},
    ]


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none", names=("f",)), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="required", names=("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(mode="auto", names=("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
    ],
)
def test_a_choice_of_tools(choice: ToolChoice, config: dict[str, Any]) -> None:
    assert written(tool_choice=choice)["toolConfig"] == {"functionCallingConfig": config}


def test_late_instructions_are_a_users_turn_and_told_of() -> None:
    losses = Losses()

    body = written(losses, messages=(CALL, Message(role="system", content=(Text(text="Now"),), name="n")))

    assert body["contents"][1] == {"role": "user", "parts": [{"text": "Now"}]}
    assert [loss.field for loss in losses] == ["messages.name", "messages.system"]


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"min_p": 0.1}, "min_p"),
        ({"logit_bias": {"1": 2.0}}, "logit_bias"),
        ({"verbosity": "low"}, "verbosity"),
        ({"user": "u"}, "user"),
        ({"prompt_cache_key": "k"}, "prompt_cache_key"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"tools": (Tool(name="f", strict=True),)}, "tools.strict"),
        ({"tools": (Tool(name="f", cache=CacheMark()),)}, "tools.cache"),
        ({"tools": (HostedTool(origin="openai", kind="web_search", value={}),)}, "tools.hosted"),
        ({"system": (Text(text="x", cache=CacheMark()),)}, "system.cache"),
        ({"format": Format(kind="json", name="n")}, "format.name"),
        ({"thinking": Thinking(effort="low")}, "thinking.effort"),
    ],
)
def test_what_has_no_place_is_told(fields: dict[str, Any], lost: str) -> None:
    losses = Losses()

    written(losses, **fields)

    assert [loss.field for loss in losses] == [lost]


def test_vertex_takes_labels() -> None:
    losses = Losses()
    request = GenerateRequest(model="m", metadata={"a": "b", "c": 1})

    body = write_request(request, "m", losses, vertex=True)

    assert body["labels"] == {"a": "b"}
    assert "metadata" in losses


def test_an_empty_turn_is_left_out_but_for_the_only_one() -> None:
    empty, said = (Message(role="user", content=(Text(text=text),)) for text in ("", "a"))

    assert written(messages=(empty, said))["contents"] == [{"role": "user", "parts": [{"text": "a"}]}]
    assert written(messages=(empty,))["contents"] == [{"role": "user", "parts": [{"text": ""}]}]


def test_instructions_alone_are_answered_with_an_empty_turn_as_was_recorded() -> None:
    body = written(system=(Text(text="Do it."),))

    assert body["contents"] == [{"role": "user", "parts": [{"text": ""}]}]
    assert body["systemInstruction"] == {"parts": [{"text": "Do it."}]}
