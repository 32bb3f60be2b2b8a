from __future__ import annotations

from typing import Any

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
    ToolChoice,
)
from llmproxy_declared.conversation import Conversation
from llmproxy_declared.prompting import Prompt
from llmproxy_declared.shapes import Shapes, ShapesConfig

LOOK, SEE = Tool("look"), Tool("see")


def filled(
    used: str, words: dict[str, Any] | None = None, shapes: Any = None, **asked: Any
) -> tuple[Any, list[str]]:
    """Return the values that templates get which refer to some, and what was lost."""
    losses = Losses()
    talk = Conversation(frozenset(used.split()), Shapes(shapes or ShapesConfig()), Prompt(None), words or {})
    messages = asked.pop("messages", (Message("user", (Text("Hi"),)),))
    request = GenerateRequest(model="m", messages=messages, **asked)
    values = talk.values(request, losses, streamed=False)
    return {name: value for name, value in values.items() if name != "stream"}, [
        each.field for each in losses
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 5),
        ("temperature", 0.0),
        ("top_p", 0.5),
        ("top_k", 3),
        ("min_p", 0.1),
        ("seed", 0),
        ("frequency_penalty", 1.0),
        ("presence_penalty", 1.0),
        ("logit_bias", {"1": 2.0}),
        ("n", 2),
        ("user", "ada"),
        ("metadata", {"a": "b"}),
        ("service_tier", "flex"),
        ("prompt_cache_key", "k"),
        ("verbosity", "low"),
    ],
)
def test_a_field_is_carried_or_lost(field, value):
    assert filled(f"prompt {field}", **{field: value}) == ({"prompt": "Hi", field: value}, [])
    assert filled("prompt", **{field: value}) == ({"prompt": "Hi"}, [field])


def test_what_was_not_said_is_neither():
    assert filled("prompt temperature") == ({"prompt": "Hi"}, [])
    assert filled("prompt", n=1, service_tier="auto") == ({"prompt": "Hi"}, [])
    assert filled("messages tools", tools=(LOOK,), parallel_tool_calls=True)[1] == []


def test_instructions_have_a_place_of_their_own_or_stand_with_the_rest():
    system = (Text("A"), Text("B", cache=CacheMark()))

    assert filled("system prompt", system=system) == ({"system": "A\n\nB", "prompt": "Hi"}, ["system.cache"])
    assert filled("prompt", system=system[:1]) == ({"prompt": "A\n\nHi"}, [])
    assert filled("last_user", system=system[:1]) == ({"last_user": "Hi"}, ["system"])
    assert filled("messages", system=system[:1])[0]["messages"][0] == {"role": "system", "content": "A"}


def test_the_last_question_and_what_was_said_before():
    talk = tuple(
        Message(role, (Text(text),)) for role, text in (("user", "a"), ("assistant", "b"), ("user", "c"))
    )  # type: ignore[arg-type]
    history = [{"role": "USER", "content": "a"}, {"role": "assistant", "content": "b"}]

    words = {"role": {"user": "USER"}}
    assert filled("last_user history", words, messages=talk) == ({"last_user": "c", "history": history}, [])
    assert filled("last_user", messages=talk) == ({"last_user": "c"}, ["messages"])
    assert filled("last_user history", messages=talk[:2])[1] == ["messages"]
    assert filled("last_user history", messages=talk[:1]) == ({"last_user": "a"}, [])


def test_pictures_have_a_place_or_are_lost():
    talk = (Message("user", (Text("?"), Image(Inline("image/png", "aaaa")))),)

    assert filled("last_user images", messages=talk) == ({"last_user": "?", "images": ["aaaa"]}, [])
    assert filled("last_user", messages=talk) == ({"last_user": "?"}, ["content.image"])
    assert filled("prompt images", messages=talk) == ({"prompt": "?", "images": ["aaaa"]}, [])
    assert filled("messages images", messages=talk)[1] == []


@pytest.mark.parametrize(
    ("used", "asked", "lost"),
    [
        ("prompt", {"tools": (LOOK,)}, ["tools"]),
        ("prompt", {"tools": (LOOK,), "tool_choice": ToolChoice("required")}, ["tools", "tool_choice"]),
        ("prompt", {"tools": (LOOK,), "tool_choice": ToolChoice("none")}, []),
        ("prompt", {"tools": (HostedTool("openai", "web_search", {}),)}, ["tools.hosted"]),
        ("messages tools", {"tools": (LOOK,)}, []),
        ("messages tools", {"tools": (LOOK,), "tool_choice": ToolChoice("auto")}, []),
        ("messages tools", {"tools": (LOOK,), "tool_choice": ToolChoice("required")}, ["tool_choice"]),
        ("messages tools", {"tools": (LOOK,), "parallel_tool_calls": False}, ["parallel_tool_calls"]),
        (
            "messages tools tool_name",
            {"tools": (LOOK,), "tool_choice": ToolChoice("required", ("look",))},
            [],
        ),
    ],
)
def test_tools_are_carried_or_lost(used, asked, lost):
    assert filled(used, **asked)[1] == lost


def test_only_the_tools_that_may_be_called_are_told_of():
    choice = ToolChoice("required", ("see",))
    words, used = {"tool_choice": {"required": "any"}}, "messages tools tool_choice"
    values, lost = filled(used, words, tools=(LOOK, SEE), tool_choice=choice)

    assert [tool["function"]["name"] for tool in values["tools"]] == ["see"]
    assert values["tool_choice"] == "any"
    assert lost == []
    assert "tools" not in filled("messages tools", tools=(LOOK,), tool_choice=ToolChoice("none"))[0]


SCHEMA = Format("schema", {"type": "object"}, "city")


@pytest.mark.parametrize(
    ("used", "form", "values", "lost"),
    [
        ("prompt", Format("json"), {}, ["format"]),
        ("prompt", SCHEMA, {}, ["format"]),
        ("prompt format", Format("json"), {"format": "json"}, []),
        ("prompt format", SCHEMA, {"format": "json"}, ["format.schema"]),
        ("prompt schema", SCHEMA, {"schema": {"type": "object"}}, []),
        ("prompt schema", Format("json"), {}, ["format"]),
        (
            "prompt schema schema_name format",
            SCHEMA,
            {"schema": {"type": "object"}, "schema_name": "city", "format": "schema"},
            [],
        ),
    ],
)
def test_the_answers_form_is_carried_or_lost(used, form, values, lost):
    assert filled(used, format=form) == ({"prompt": "Hi", **values}, lost)


@pytest.mark.parametrize(
    ("used", "thinking", "values", "lost"),
    [
        ("prompt", Thinking(effort="low"), {}, ["thinking.effort"]),
        ("prompt", Thinking(enabled=True, budget=9), {}, ["thinking.budget", "thinking"]),
        ("prompt effort", Thinking(effort="low"), {"effort": "low"}, []),
        ("prompt thinking", Thinking(enabled=True), {"thinking": True}, []),
        ("prompt thinking", Thinking(enabled=False), {"thinking": False}, []),
        ("prompt thinking", Thinking(effort="none"), {"thinking": False}, ["thinking.effort"]),
        ("prompt thinking_budget", Thinking(enabled=True, budget=9), {"thinking_budget": 9}, []),
    ],
)
def test_thought_is_carried_or_lost(used, thinking, values, lost):
    assert filled(used, thinking=thinking) == ({"prompt": "Hi", **values}, lost)


def test_what_no_declared_answer_holds_is_lost():
    assert filled("prompt", logprobs=True, modalities=("text", "audio"))[1] == ["logprobs", "modalities"]
    assert filled("prompt", logprobs=False, modalities=("text",))[1] == []


def test_pictures_are_fetched_where_only_their_bytes_are_taken():
    def fetches(used: str, image: Any = None) -> bool:
        shapes = Shapes(ShapesConfig(image=image))
        return Conversation(frozenset(used.split()), shapes, Prompt(None), {}).fetches("image")

    assert fetches("prompt images")
    assert fetches("messages", {"b64": "{data}"})
    assert not fetches("messages", {"url": "{url}"})
    assert not fetches("messages")
