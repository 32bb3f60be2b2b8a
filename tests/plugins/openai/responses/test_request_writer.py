from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given

from llmproxy.canonical import (
    CacheMark,
    Format,
    GenerateRequest,
    HostedTool,
    Losses,
    Message,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from llmproxy.plugin import Quirks
from llmproxy.testing import make_exchange
from llmproxy_openai.responses.request_reader import decode_request
from llmproxy_openai.responses.request_writer import write_request

from .drawn import requests

HELLO = (Message(role="user", content=(Text(text="hello"),)),)


def write(losses: Losses | None = None, quirks: Quirks | None = None, **fields: Any) -> dict[str, Any]:
    request = GenerateRequest(model="m", messages=fields.pop("messages", HELLO), **fields)
    body = write_request(request, "real", losses if losses is not None else Losses(), quirks or Quirks())
    told: dict[str, Any] = orjson.loads(body)
    return told


def test_a_plain_request_is_not_stored() -> None:
    assert write() == {
        "model": "real",
        "store": False,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}],
    }


def test_every_field_has_its_place() -> None:
    losses = Losses()

    told = write(
        losses,
        system=(Text(text="a"), Text(text="b")),
        tools=(Tool(name="look", description="d", schema={"type": "object"}, strict=True),),
        tool_choice=ToolChoice(mode="auto"),
        parallel_tool_calls=False,
        max_tokens=99,
        temperature=0.0,
        top_p=0.5,
        logprobs=True,
        top_logprobs=2,
        format=Format(kind="schema", name="n", description="d", schema={"type": "object"}, strict=True),
        thinking=Thinking(enabled=True, effort="high", show="auto"),
        verbosity="low",
        streamed=True,
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
    )

    assert not len(losses)
    assert told["instructions"] == "a\n\nb"
    assert told["tools"] == [
        {
            "type": "function",
            "name": "look",
            "description": "d",
            "parameters": {"type": "object"},
            "strict": True,
        }
    ]
    assert told["text"] == {
        "format": {
            "type": "json_schema",
            "name": "n",
            "description": "d",
            "schema": {"type": "object"},
            "strict": True,
        },
        "verbosity": "low",
    }
    assert told["reasoning"] == {"effort": "high", "summary": "auto"}
    assert told["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    plain = (
        "parallel_tool_calls",
        "max_output_tokens",
        "temperature",
        "top_p",
        "top_logprobs",
        "stream",
        "user",
    )
    assert [told[key] for key in plain] == [False, 99, 0.0, 0.5, 2, True, "u"]
    assert (told["metadata"], told["service_tier"], told["prompt_cache_key"]) == ({"a": "b"}, "flex", "k")
    assert list(told)[-1] == "input"


def test_a_tool_is_not_strict_where_nothing_is_said() -> None:
    (tool,) = write(tools=(Tool(name="look"),))["tools"]

    assert (tool["strict"], tool["parameters"]) == (False, {"type": "object", "properties": {}})


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (ToolChoice(mode="none", names=("a",)), "none"),
        (ToolChoice(mode="required"), "required"),
        (ToolChoice(mode="required", names=("a",)), {"type": "function", "name": "a"}),
        (
            ToolChoice(mode="auto", names=("a",)),
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "a"}]},
        ),
    ],
)
def test_a_choice_of_tools_is_written(choice: ToolChoice, told: Any) -> None:
    assert write(tool_choice=choice)["tool_choice"] == told


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        (
            HostedTool(origin="openai", kind="web_search", value={"type": "web_search"}),
            {"type": "web_search"},
        ),
        (
            HostedTool(
                origin="openai",
                kind="custom",
                value={
                    "type": "custom",
                    "custom": {"name": "n", "format": {"type": "grammar", "grammar": {"syntax": "lark"}}},
                },
            ),
            {"type": "custom", "name": "n", "format": {"type": "grammar", "syntax": "lark"}},
        ),
    ],
)
def test_openais_own_tools_are_asked_for(tool: HostedTool, told: dict[str, Any]) -> None:
    assert write(tools=(tool,))["tools"] == [told]


@pytest.mark.parametrize(
    ("thinking", "told"),
    [
        (Thinking(budget=1024), {"effort": "minimal"}),
        (Thinking(enabled=True, budget=8000), {"effort": "medium"}),
        (Thinking(budget=99999), {"effort": "high"}),
        (Thinking(enabled=False, effort="none"), {"effort": "none"}),
        (Thinking(enabled=True, show="omitted"), None),
    ],
)
def test_thinking_is_asked_for_in_words(thinking: Thinking, told: Any) -> None:
    assert write(thinking=thinking).get("reasoning") == told


def test_encrypted_thought_is_asked_for_where_there_is_thought() -> None:
    message = Message(role="assistant", content=(Reasoning(redacted="x", origin="openai"),))

    assert write(messages=(message,))["include"] == ["reasoning.encrypted_content"]
    assert "include" not in write(thinking=Thinking(enabled=False, effort="none"))


def test_instructions_alone_are_the_input() -> None:
    told = write(messages=(), system=(Text(text="a"),))

    assert "instructions" not in told
    assert told["input"] == [{"type": "message", "role": "system", "content": "a"}]


def test_what_is_asked_for_below_the_least_is_raised_and_told() -> None:
    losses = Losses()

    assert write(losses, max_tokens=1)["max_output_tokens"] == 16
    assert "max_tokens" in losses


def test_what_the_provider_refuses_is_left_out_and_told() -> None:
    losses = Losses()

    told = write(losses, Quirks(refused=("temperature",)), temperature=0.5, top_p=0.5)

    assert "temperature" not in told
    assert told["top_p"] == 0.5
    assert "temperature" in losses


@pytest.mark.parametrize(
    ("fields", "loss"),
    [
        ({"top_k": 3}, "top_k"),
        ({"min_p": 0.1}, "min_p"),
        ({"stop": ("x",)}, "stop"),
        ({"seed": 0}, "seed"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"logit_bias": {"1": 1.0}}, "logit_bias"),
        ({"n": 2}, "n"),
        ({"modalities": ("audio",)}, "modalities"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"service_tier": "standard_only"}, "service_tier"),
        ({"system": (Text(text="a", cache=CacheMark()),)}, "system.cache"),
        ({"tools": (Tool(name="a", cache=CacheMark()),)}, "tools.cache"),
        ({"tools": (HostedTool(origin="anthropic", kind="bash", value={}),)}, "tools.hosted"),
        ({"thinking": Thinking(budget=2000)}, "thinking.budget"),
        ({"thinking": Thinking(effort="low", budget=2000)}, "thinking.budget"),
        ({"thinking": Thinking(enabled=False)}, "thinking"),
        ({"thinking": Thinking(show="raw")}, "thinking.show"),
    ],
)
def test_what_has_no_place_is_reported(fields: dict[str, Any], loss: str) -> None:
    losses = Losses()

    write(losses, **fields)

    assert [each.field for each in losses] == [loss]


@pytest.mark.parametrize("fields", [{"n": 1}, {"modalities": ("text",)}, {"presence_penalty": 0.0}])
def test_what_says_no_more_than_silence_is_no_loss(fields: dict[str, Any]) -> None:
    losses = Losses()

    write(losses, **fields)

    assert not len(losses)


@given(requests())
def test_what_is_written_reads_as_the_same_request(request: GenerateRequest) -> None:
    losses = Losses()
    body = write_request(request, request.model, losses)
    exchange = make_exchange(path="/v1/responses", model="m", body=body)

    again = decode_request(exchange, body, losses)

    assert isinstance(again, GenerateRequest)
    assert not len(losses)
    assert write_request(again, request.model, losses) == body
    same = msgspec.structs.replace(again, messages=request.messages)
    assert same == request


@given(requests())
def test_the_next_turn_begins_with_the_bytes_of_the_one_before(request: GenerateRequest) -> None:
    more = Message(role="assistant", content=(Text(text="yes"),))
    longer = msgspec.structs.replace(request, messages=(*request.messages, more))

    before = write_request(request, "m", Losses())
    after = write_request(longer, "m", Losses())

    assert after.startswith(before.removesuffix(b"]}"))
