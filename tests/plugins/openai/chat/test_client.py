from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from llmproxy.canonical import (
    Answer,
    Choice,
    CountAnswer,
    EmbedAnswer,
    EmbedRequest,
    Finished,
    GenerateRequest,
    Losses,
    Started,
    Text,
    ToolCall,
)
from llmproxy.plugin import BadRequest, GatewayError
from llmproxy_openai.calls import LOSS_NAMES
from llmproxy_openai.chat.client import decode_request, encode_answer, stream_encoder

if TYPE_CHECKING:
    from tests.plugins.openai.conftest import MakeExchange

    from llmproxy.plugin import Exchange

CHAT = "/v1/chat/completions"
HELLO = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def asked(exchange_for: MakeExchange, path: str = CHAT, **told: Any) -> tuple[Exchange, Any]:
    body = orjson.dumps(told)
    exchange = exchange_for(path, body)
    return exchange, decode_request(exchange, body, Losses(LOSS_NAMES))


def value(exchange: Exchange, answer: Any) -> Any:
    body = encode_answer(exchange, answer).body
    assert isinstance(body, bytes)
    return orjson.loads(body)


def test_what_the_provider_does_not_say_is_said_here(exchange_for: MakeExchange) -> None:
    exchange, request = asked(exchange_for, **HELLO)
    body = value(exchange, Answer(choices=(Choice(content=(Text("yes"),), finish="stop"),)))

    assert isinstance(request, GenerateRequest)
    assert (body["id"], body["model"]) == ("chatcmpl-test", "m")
    assert abs(body["created"] - time.time()) < 100  # the clock is what is tested


def test_usage_ends_a_stream_only_if_it_was_asked_for(exchange_for: MakeExchange) -> None:
    for options, told in (({"include_usage": True}, True), (None, False)):
        exchange, _ = asked(exchange_for, **HELLO, stream=True, stream_options=options)
        encoder = stream_encoder(exchange)
        data = b"".join(piece for event in (Started(), Finished("stop")) for piece in encoder.feed(event))

        assert (b'"usage":null' in data) is told


def test_callers_of_functions_are_answered_in_their_words(exchange_for: MakeExchange) -> None:
    exchange, _ = asked(exchange_for, **HELLO, functions=[{"name": "f"}])
    called = Answer(choices=(Choice(content=(ToolCall("c", "f"),), finish="tool_calls"),))

    assert value(exchange, called)["choices"][0]["finish_reason"] == "function_call"


@pytest.mark.parametrize(("form", "kind"), [("base64", str), ("float", list), (None, list)])
def test_vectors_are_written_as_the_caller_wants_them(
    exchange_for: MakeExchange, form: str | None, kind: type
) -> None:
    exchange, request = asked(exchange_for, "/v1/embeddings", model="m", input="hi", encoding_format=form)
    body = value(exchange, EmbedAnswer(vectors=((0.5, 1.0),)))

    assert isinstance(request, EmbedRequest)
    assert type(body["data"][0]["embedding"]) is kind
    assert body["model"] == "m"


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/images/variations", "/v1/videos"])
def test_other_calls_are_not_translated(exchange_for: MakeExchange, path: str) -> None:
    with pytest.raises(GatewayError) as caught:
        asked(exchange_for, path, model="m", prompt="x")

    assert caught.value.code == "no_translation"


def test_what_is_no_json_object_is_refused(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(CHAT, HELLO)

    for body in (b"{", b"[]", b"\xff"):
        with pytest.raises(BadRequest):
            decode_request(exchange, body, Losses())


def test_a_count_has_no_shape_here(exchange_for: MakeExchange) -> None:
    with pytest.raises(GatewayError):
        encode_answer(exchange_for(CHAT, HELLO), CountAnswer(tokens=1))


@pytest.mark.parametrize(
    ("told", "canonical", "name"),
    [
        ({"safety_identifier": "u"}, "user", "safety_identifier"),
        ({"user": "u"}, "user", "user"),
        ({"max_completion_tokens": 5}, "max_tokens", "max_completion_tokens"),
        ({}, "content.cache", "messages[].content[].cache_control"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
                        ],
                    }
                ]
            },
            "content.cache",
            "messages[].content[].prompt_cache_breakpoint",
        ),
    ],
)
def test_losses_are_named_as_this_caller_does(
    exchange_for: MakeExchange, told: dict[str, Any], canonical: str, name: str
) -> None:
    body = orjson.dumps({**HELLO, **told})
    losses = Losses(LOSS_NAMES)
    decode_request(exchange_for(CHAT, body), body, losses)
    losses.lose(canonical)

    assert [loss.field for loss in losses] == [name]
