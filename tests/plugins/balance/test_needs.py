"""What a request needs, in every dialect that has a word for it."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.testing import make_exchange
from llmproxy_anthropic import AnthropicPlugin
from llmproxy_balance.facts import Facts
from llmproxy_balance.needs import needs_of, tokens_of
from llmproxy_gemini import GeminiPlugin
from llmproxy_openai import OpenAIPlugin

from .places import asking, face_of

PNG = "data:image/png;base64,iVBORw0KGgo="
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
HI = [{"role": "user", "content": "Hi."}]


def spoken(plugin, dialect, path, body, **more):
    exchange = make_exchange(path=path, body=body, model="m", **more)
    exchange.client_face = face_of(plugin, dialect)
    assert exchange.take_body()
    return needs_of(exchange)


@pytest.mark.parametrize(
    ("members", "needs"),
    [
        ({}, set()),
        ({"tools": [TOOL]}, {"tools"}),
        ({"response_format": {"type": "json_object"}}, {"json"}),
        ({"response_format": SCHEMA}, {"schema"}),
        ({"reasoning_effort": "high"}, {"thinking"}),
        ({"reasoning_effort": "none"}, set()),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x", "format": "wav"}}, {"audio"}),
        ({"stream": True}, {"streaming"}),
        ({"stream": True, "tools": [TOOL]}, {"streaming", "tools"}),
    ],
)
def test_members_of_a_chat_need_something(members, needs):
    assert needs_of(asking(**members)).features == needs


@pytest.mark.parametrize(
    ("part", "need"),
    [
        ({"type": "image_url", "image_url": {"url": PNG}}, "vision"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "audio"),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}}, "documents"),
        ({"type": "text", "text": "an image of a tool, as json"}, None),
    ],
)
def test_parts_of_a_message_need_something(part, need):
    assert needs_of(asking([part])).features == ({need} if need else set())


def test_a_conversation_with_calls_of_tools_needs_tools():
    turns = [
        *HI,
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
    ]

    assert needs_of(asking(messages=turns)).features == {"tools"}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_longest_answer_that_is_asked_for_is_known(name):
    assert needs_of(asking(**{name: 123})).output == 123
    assert needs_of(asking()).output == 0


def test_other_dialects_need_the_same():
    picture = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
    }
    messages = [{"role": "user", "content": [picture]}]
    asked = {"model": "m", "max_tokens": 9, "messages": messages}
    needs = spoken(AnthropicPlugin, "anthropic", "/v1/messages", asked)

    assert (needs.features, needs.output) == ({"vision"}, 9)

    wanted = {"maxOutputTokens": 9, "responseMimeType": "application/json"}
    asked = {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}], "generationConfig": wanted}
    needs = spoken(GeminiPlugin, "gemini", "/v1beta/models/m:generateContent", asked)

    assert (needs.features, needs.output) == ({"json"}, 9)


def test_embeddings_need_a_model_that_makes_them():
    needs = spoken(OpenAIPlugin, "openai", "/v1/embeddings", {"model": "m", "input": "Hi."})

    assert needs.features == {"embeddings"}


def test_what_cannot_be_read_needs_nothing():
    broken = asking()
    broken.set_body(b'{"model": "m", "messages": 7, "tools": []}')

    assert needs_of(broken).features == set()
    assert needs_of(make_exchange(streamed=True)).features == {"streaming"}
    assert tokens_of(broken, Facts()) == 0


def test_needs_are_read_again_when_the_body_was_changed():
    exchange = asking()

    assert needs_of(exchange).features == set()
    exchange.set_body(asking(tools=[TOOL]).body_at_hand or b"")
    assert needs_of(exchange).features == {"tools"}
    assert tokens_of(exchange, Facts()) > 0


MEMBERS = {"tools": [TOOL], "response_format": SCHEMA, "reasoning_effort": "low", "max_tokens": 5}


@pytest.mark.parametrize("taken", list(product([False, True], repeat=len(MEMBERS))))
def test_the_quick_look_misses_nothing_that_a_reading_finds(taken):
    members = {name: MEMBERS[name] for name, take in zip(MEMBERS, taken, strict=True) if take}
    needs = needs_of(asking(**members))

    assert needs.features == {
        {"tools": "tools", "response_format": "schema", "reasoning_effort": "thinking"}[name]
        for name in members
        if name != "max_tokens"
    }
    assert bool(needs.output) == ("max_tokens" in members)


@given(st.text(max_size=100))
def test_words_of_a_prompt_need_nothing(text):
    assert needs_of(asking(text)).features == set()
