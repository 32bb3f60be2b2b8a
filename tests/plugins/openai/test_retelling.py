"""Which form an answer has in OpenAI's dialect, and vectors in theirs."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest

from llmproxy.plugin import Form, Headers, Reply, Untellable
from llmproxy_openai.retelling import form_of, retell

CHAT = Form("openai", "chat")
EVENTS = Reply(200, Headers([(b"Content-Type", b"text/event-stream")]), b"")


def form(exchange_for: Any, path: str, reply: Reply | None = None, **asked: Any) -> Form:
    body = orjson.dumps({"model": "m", **asked})
    return form_of(exchange_for(path, body), body, reply)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, CHAT),
        ({"stream": True}, CHAT._replace(streamed=True, manner="bare")),
        ({"stream": True, "stream_options": {"include_usage": True}}, CHAT._replace(streamed=True)),
        (
            {"stream": True, "stream_options": {"include_usage": False}},
            CHAT._replace(streamed=True, manner="bare"),
        ),
        ({"functions": [{"name": "f"}]}, CHAT._replace(manner="legacy")),
        ({"functions": [], "stream": True}, CHAT._replace(streamed=True, manner="legacy-bare")),
        ({"functions": [], "tools": []}, CHAT),
        ({"messages": [{"role": "user", "content": "functions"}]}, CHAT),
    ],
)
def test_the_form_of_a_chat_is_told_by_what_was_asked(exchange_for, asked, expected):
    assert form(exchange_for, "/v1/chat/completions", **asked) == expected


@pytest.mark.parametrize(
    ("path", "asked", "expected"),
    [
        ("/v1/responses", {"stream": True}, Form("openai", "responses", streamed=True)),
        ("/v1/responses/input_tokens", {}, Form("openai")),
        ("/v1/completions", {"stream": True}, Form("openai", "", streamed=True)),
        ("/v1/embeddings", {"input": "a"}, Form("openai", "embeddings")),
        ("/v1/embeddings", {"input": '"base64"', "encoding_format": "float"}, Form("openai", "embeddings")),
        ("/v1/embeddings", {"encoding_format": "base64"}, Form("openai", "embeddings", manner="base64")),
    ],
)
def test_the_form_of_other_calls_is_told_by_the_path(exchange_for, path, asked, expected):
    assert form(exchange_for, path, **asked) == expected


def test_a_stream_for_which_the_gateway_asked_usage_is_kept_with_it(exchange_for):
    body = b'{"model":"m","stream":true}'
    exchange = exchange_for("/v1/chat/completions", body)
    exchange.usage_added = True

    assert form_of(exchange, body, EVENTS) == CHAT._replace(streamed=True)
    assert form_of(exchange, body, None) == CHAT._replace(streamed=True, manner="bare")


def test_who_asked_for_a_stream_and_got_none_has_a_whole_answer(exchange_for):
    reply = Reply(200, Headers([(b"Content-Type", b"application/json")]), b"{}")

    assert form(exchange_for, "/v1/chat/completions", reply, stream=True) == CHAT


def test_vectors_are_told_as_numbers_and_packed():
    numbers, packed = Form("openai", "embeddings"), Form("openai", "embeddings", manner="base64")
    vector = [0.5, -0.25, 0.0023064255]
    body = orjson.dumps({"object": "list", "data": [{"index": 0, "embedding": vector}], "model": "m"})
    told = retell(body, numbers, packed)
    back = orjson.loads(retell(told, packed, numbers))["data"][0]["embedding"]

    assert base64.b64decode(orjson.loads(told)["data"][0]["embedding"]) == struct.pack("<3f", *vector)
    assert back == pytest.approx(vector, rel=1e-7)


def test_the_function_call_of_old_is_not_told_as_a_tool():
    with pytest.raises(Untellable):
        retell(b"{}", CHAT, CHAT._replace(manner="legacy"))


def test_a_call_that_has_one_form_is_not_told():
    with pytest.raises(Untellable):
        retell(b"{}", Form("openai"), Form("openai", "", streamed=True))
