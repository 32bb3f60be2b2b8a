from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Format, GenerateRequest, Losses, Thinking
from llmproxy.plugin import BadField, BadRequest
from llmproxy_openai.chat.decoding import decode_chat

HELLO = [{"role": "user", "content": "hi"}]


def read(losses: Losses | None = None, **told: Any) -> GenerateRequest:
    return decode_chat({"model": "m", "messages": HELLO, **told}, Losses() if losses is None else losses)


@pytest.mark.parametrize(
    ("told", "field", "value"),
    [
        ({"max_tokens": 5}, "max_tokens", 5),
        ({"max_completion_tokens": 5}, "max_tokens", 5),
        ({"temperature": 0}, "temperature", 0),
        ({"top_k": 3.0}, "top_k", 3),
        ({"stop": "x"}, "stop", ("x",)),
        ({"stop": ["x", "y"]}, "stop", ("x", "y")),
        ({"random_seed": 4}, "seed", 4),
        ({"n": 2}, "n", 2),
        ({"n": 1}, "n", None),
        ({"presence_penalty": 0}, "presence_penalty", None),
        ({"logit_bias": {}}, "logit_bias", None),
        ({"logprobs": True}, "logprobs", True),
        ({"user": "u"}, "user", "u"),
        ({"safety_identifier": "u"}, "user", "u"),
        ({"modalities": ["text"]}, "modalities", ()),
        ({"modalities": ["text", "audio"]}, "modalities", ("text", "audio")),
        ({"stream": True}, "streamed", True),
        ({}, "include_usage", False),
        ({"stream_options": {"include_usage": True}}, "include_usage", True),
        ({"response_format": {"type": "text"}}, "format", None),
        ({"response_format": {"type": "json_object"}}, "format", Format("json")),
        (
            {"response_format": {"type": "json_object", "schema": {"a": 1}}},
            "format",
            Format("schema", {"a": 1}),
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {}, "strict": True},
                }
            },
            "format",
            Format("schema", {}, "x", strict=True),
        ),
        ({"reasoning_effort": "low"}, "thinking", Thinking(True, "low")),
        ({"reasoning_effort": "none"}, "thinking", Thinking(False, "none")),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "thinking", Thinking(True, budget=9)),
        ({"thinking": {"type": "disabled"}}, "thinking", Thinking(False)),
        ({"thinking": {"type": "adaptive"}}, "thinking", Thinking(True, adaptive=True)),
        (
            {"reasoning": {"effort": "high", "exclude": True}},
            "thinking",
            Thinking(True, "high", show="omitted"),
        ),
        ({"reasoning": {"max_tokens": 7}}, "thinking", Thinking(True, budget=7)),
        ({"include_reasoning": False}, "thinking", Thinking(show="omitted")),
        ({"verbosity": "low"}, "verbosity", "low"),
        ({"prompt_cache_key": "k"}, "prompt_cache_key", "k"),
        ({"metadata": {"a": "b"}}, "metadata", {"a": "b"}),
        ({"service_tier": "flex"}, "service_tier", "flex"),
    ],
)
def test_a_wish_is_read(told: dict[str, Any], field: str, value: Any, losses: Losses) -> None:
    assert getattr(read(losses, **told), field) == value
    assert len(losses) == 0


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"store": True}, "store"),
        ({"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
        ({"transforms": ["x"]}, "transforms"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"user": "a", "safety_identifier": "b"}, "user"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "new": 1}}},
            "response_format.json_schema.new",
        ),
        ({"thinking": {"type": "enabled", "clear_thinking": True}}, "thinking.clear_thinking"),
        ({"stream_options": {"new": 1}}, "stream_options.new"),
    ],
)
def test_what_no_other_provider_has_is_told(told: dict[str, Any], field: str, losses: Losses) -> None:
    read(losses, **told)

    assert [loss.field for loss in losses] == [field]


def test_saying_that_nothing_shall_be_stored_loses_nothing(losses: Losses) -> None:
    read(losses, store=False, prediction=None)

    assert len(losses) == 0


@pytest.mark.parametrize(
    "told",
    [
        {"messages": []},
        {"messages": None},
        {"messages": "hi"},
        {"messages": ["hi"]},
        {"temperature": "hot"},
        {"max_tokens": 1.5},
        {"stream": "yes"},
        {"stop": 7},
        {"response_format": "json"},
        {"response_format": {"type": "json_schema"}},
        {"reasoning_effort": 3},
        {"tools": {}},
        {"metadata": []},
        {"user": {}},
    ],
)
def test_a_wish_of_another_type_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(BadField):
        read(**told)


KEYS = (
    *(
        "role",
        "content",
        "type",
        "text",
        "image_url",
        "url",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
    ),
    *(
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "json_schema",
        "stop",
        "n",
        "stream_options",
        "thinking",
    ),
    *(
        "reasoning_details",
        "annotations",
        "cache_control",
        "extra_content",
        "file",
        "input_audio",
        "data",
        "custom",
    ),
)
WORDS = (
    "user",
    "assistant",
    "tool",
    "system",
    "function",
    "text",
    "image_url",
    "custom",
    "allowed_tools",
    "x",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats(allow_nan=False) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6),
    st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5), max_size=3),
)
def test_whatever_comes_is_read_or_refused_in_a_sentence(
    told: dict[str, Any], messages: list[dict[str, Any]]
) -> None:
    asked = orjson.loads(orjson.dumps({"messages": [*HELLO, *messages], **told}))

    try:
        request = decode_chat(asked, Losses())
    except BadRequest as refusal:
        assert refusal.message.endswith(".")  # noqa: PT017  # any other error would be the failure
    else:
        assert request.messages


@pytest.mark.shared
def test_every_recorded_request_is_read(chats: list[dict[str, Any]]) -> None:
    read_, refused = 0, []
    for record in chats:
        body = (record.get("request") or {}).get("body")
        if isinstance(body, dict) and record["response"]["status"] < 400:
            try:
                decode_chat(body, Losses())
                read_ += 1
            except BadRequest as fault:
                refused.append((record["id"], fault.message))

    assert refused == []
    assert read_ > 700
