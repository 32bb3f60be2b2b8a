from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Format, GenerateRequest, Losses, Message, Text, Thinking, Tool, ToolChoice
from llmproxy.plugin import BadField, BadRequest
from llmproxy_cohere.decoding import decode_chat, documents_of
from llmproxy_cohere.encoding import encode_chat

from .conftest import asked

HI = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def decoded(body: dict[str, Any]) -> tuple[GenerateRequest, list[str]]:
    losses = Losses()
    request = decode_chat(body, losses, streamed=False)
    return request, [loss.field for loss in losses]


def test_every_field_has_its_place() -> None:
    function = {"name": "f", "description": "F", "parameters": {"type": "object"}}
    request, lost = decoded(
        {
            **HI,
            "tools": [{"type": "function", "function": function}],
            "strict_tools": True,
            "tool_choice": "REQUIRED",
            "max_tokens": 9,
            "stop_sequences": ["END"],
            "temperature": 0.1,
            "p": 0.5,
            "k": 3,
            "seed": 7,
            "frequency_penalty": 0.2,
            "presence_penalty": 0.3,
            "logprobs": True,
            "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
            "thinking": {"type": "enabled", "token_budget": 100},
            "citation_options": {"mode": "ENABLED"},
        }
    )

    assert lost == []
    assert request == GenerateRequest(
        model="m",
        messages=(Message("user", (Text("Hi"),)),),
        tools=(Tool("f", "F", {"type": "object"}, True),),
        tool_choice=ToolChoice("required"),
        max_tokens=9,
        stop=("END",),
        temperature=0.1,
        top_p=0.5,
        top_k=3,
        seed=7,
        frequency_penalty=0.2,
        presence_penalty=0.3,
        logprobs=True,
        format=Format("schema", {"type": "object"}),
        thinking=Thinking(enabled=True, budget=100),
    )


def test_what_other_providers_do_not_know_is_told_of() -> None:
    _, lost = decoded(
        {**HI, "safety_mode": "STRICT", "priority": 2, "new": 1, "citation_options": {"mode": "FAST"}}
    )

    assert sorted(lost) == ["citation_options.mode", "new", "priority", "safety_mode"]


def test_plain_text_is_no_format_and_json_may_have_no_schema() -> None:
    assert decoded({**HI, "response_format": {"type": "text"}})[0].format is None
    assert decoded({**HI, "response_format": {"type": "json_object"}})[0].format == Format("json")


@pytest.mark.parametrize(
    "more",
    [
        {"tool_choice": "any"},
        {"response_format": {"type": "xml"}},
        {"thinking": {"type": "much"}},
        {"tools": [{"type": "web", "function": {"name": "f"}}]},
        {"tools": [{"type": "function"}]},
        {"p": "high"},
        {"messages": {}},
    ],
)
def test_what_is_broken_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(BadField):
        decoded({**HI, **more})


def test_documents_are_kept_as_they_were_sent() -> None:
    assert documents_of({"documents": ["a", {"id": "b", "data": {"text": "c"}}]}) == [
        {"data": {"text": "a"}},
        {"id": "b", "data": {"text": "c"}},
    ]
    assert documents_of({}) == []


MANGLED = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(
    [
        "messages",
        "tools",
        "documents",
        "response_format",
        "thinking",
        "tool_choice",
        "citation_options",
        "stop_sequences",
        "p",
        "k",
        "max_tokens",
        "safety_mode",
        "logprobs",
    ]
)


@given(st.dictionaries(KEYS, MANGLED, max_size=4))
def test_whatever_is_sent_is_read_or_refused(more: dict[str, Any]) -> None:
    with suppress(BadRequest):
        decoded({**HI, **more})


def test_golden_every_recorded_request_means_the_same_written_anew(
    recordings: list[dict[str, Any]], judge: Any
) -> None:
    for record, body in asked(recordings, "cohere.chat_v2"):
        losses = Losses()
        written = encode_chat(decode_chat(body, losses, streamed=record["stream"]), body["model"], losses)
        want = judge.parse_request("cohere.chat_v2", body)
        have = judge.parse_request("cohere.chat_v2", orjson.loads(orjson.dumps(written)))

        assert judge.compare_requests(want, have) == [], record["id"]
        assert list(losses) == [], record["id"]
