from __future__ import annotations

import pytest

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
    ToolChoice,
)
from llmproxy_ollama.decoding import decode_chat
from llmproxy_ollama.encoding import write_request

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
SAID = (Message(role="user", content=(Text(text="Hi"),)),)
LOOK = Tool(name="look", description="d", schema=SCHEMA)


def written(**fields):
    losses = Losses()
    body = write_request(GenerateRequest(model="public", messages=SAID, **fields), "llama3", losses)
    return body, [loss.field for loss in losses]


def test_a_request_says_whether_it_is_streamed():
    said = [{"role": "user", "content": "Hi"}]

    assert written()[0] == {"model": "llama3", "stream": False, "messages": said}
    assert written(streamed=True)[0]["stream"] is True


def test_messages_stand_last():
    body, lost = written(tools=(LOOK,), format=Format("json"), max_tokens=3)

    assert list(body)[-1] == "messages"
    assert (body["options"], body["format"]) == ({"num_predict": 3}, "json")
    assert not lost


@pytest.mark.parametrize(
    ("form", "told", "lost"),
    [
        (Format("schema", SCHEMA, "answer", strict=True), SCHEMA, []),
        (Format("schema", {}), "json", []),
        (
            Format("schema", SCHEMA, description="d", strict=False),
            SCHEMA,
            ["format.description", "format.strict"],
        ),
    ],
)
def test_a_schema_is_the_format(form, told, lost):
    body, found = written(format=form)

    assert (body["format"], found) == (told, lost)


@pytest.mark.parametrize(
    ("thinking", "told", "lost"),
    [
        (Thinking(True), True, []),
        (Thinking(False), False, []),
        (Thinking(effort="none"), False, []),
        (Thinking(enabled=True, budget=0), False, []),
        (Thinking(enabled=True, budget=99), True, ["thinking.budget"]),
        (Thinking(adaptive=True, show="auto"), True, []),
        (Thinking(True, "high"), "high", []),
        (Thinking(True, "minimal"), "low", ["thinking.effort"]),
        (Thinking(True, "low", show="omitted"), "low", ["thinking.show"]),
        (Thinking(), None, []),
    ],
)
def test_thinking_is_a_switch_or_an_effort(thinking, told, lost):
    body, found = written(thinking=thinking)

    assert (body.get("think"), found) == (told, lost)


def test_tools_have_parameters_in_any_case():
    body, lost = written(tools=(LOOK, Tool(name="walk")))

    assert [tool["function"]["name"] for tool in body["tools"]] == ["look", "walk"]
    assert body["tools"][1]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert not lost


def test_tools_that_may_not_be_called_are_not_offered():
    body, lost = written(tools=(LOOK,), tool_choice=ToolChoice(mode="none"))

    assert "tools" not in body
    assert not lost


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"tool_choice": ToolChoice(mode="required")}, ["tool_choice"]),
        ({"tool_choice": ToolChoice(mode="auto", names=("look",))}, ["tool_choice"]),
        ({"tool_choice": ToolChoice(mode="auto")}, []),
        ({"parallel_tool_calls": False}, ["parallel_tool_calls"]),
        ({"tools": (HostedTool(origin="openai", kind="web", value={}),)}, ["tools.hosted"]),
        ({"tools": (Tool(name="a", strict=True, cache=CacheMark()),)}, ["tools.strict", "tools.cache"]),
        ({"n": 2, "user": "u", "metadata": {"a": "b"}}, ["n", "user", "metadata"]),
        ({"logit_bias": {"1": 2.0}, "service_tier": "flex"}, ["logit_bias", "service_tier"]),
    ],
)
def test_what_has_no_place_is_reported(fields, lost):
    assert written(**fields)[1] == lost


def test_what_is_written_is_read_back():
    request = GenerateRequest(
        model="m",
        messages=SAID,
        system=(Text(text="s"),),
        tools=(LOOK,),
        temperature=0.5,
        stop=("x",),
        format=Format("schema", SCHEMA),
        thinking=Thinking(True, "low"),
        logprobs=True,
        top_logprobs=2,
        streamed=True,
    )

    assert decode_chat(write_request(request, "m", Losses()), Losses(), streamed=True) == request
