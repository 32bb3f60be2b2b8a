from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from llmproxy.canonical import (
    Answer,
    CountRequest,
    EmbedAnswer,
    EmbedRequest,
    GenerateRequest,
    Losses,
    Message,
    Text,
)
from llmproxy.plugin import Endpoint, Quirks, Reply
from llmproxy_openai.chat.upstream import decode_answer, encode_request

if TYPE_CHECKING:
    from tests.plugins.openai.conftest import MakeExchange

CHAT = GenerateRequest(model="public", messages=(Message("user", (Text("hi"),)),))
HEADERS = {
    "Content-Type": "text/plain",
    "x-api-key": "secret",
    "anthropic-version": "2023-06-01",
    "X-Mine": "1",
}


@pytest.mark.parametrize(
    ("request_", "target", "told"),
    [
        (CHAT, "/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
        (EmbedRequest(model="public", inputs=("hi",)), "/embeddings", {"input": ["hi"]}),
    ],
)
@pytest.mark.parametrize(("own", "model"), [("own", "own"), (None, "public")])
def test_a_request_goes_out_with_the_callers_plain_headers(
    exchange_for: MakeExchange, request_: Any, target: str, told: dict[str, Any], own: str | None, model: str
) -> None:
    exchange = exchange_for("/v1/messages", {}, HEADERS)
    wire = encode_request(exchange, Endpoint("main", own), request_, Losses(), Quirks())

    assert wire is not None
    assert (wire.method, wire.target) == ("POST", target)
    assert isinstance(wire.body, bytes)
    assert orjson.loads(wire.body) == {"model": model, **told}
    assert list(wire.headers) == [("X-Mine", "1"), ("Content-Type", "application/json")]


def test_calls_that_the_provider_lacks_are_none(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/v1/messages", {})
    embed = EmbedRequest(model="m", inputs=("hi",))

    assert encode_request(exchange, Endpoint("main"), CountRequest(request=CHAT), Losses(), Quirks()) is None
    assert encode_request(exchange, Endpoint("main"), embed, Losses(), Quirks(embeddings=False)) is None


def test_an_answers_shape_says_what_it_is(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/v1/messages", {})
    chat = decode_answer(exchange, Reply(200), b'{"choices":[{"message":{"content":"a"}}]}')
    vectors = decode_answer(exchange, Reply(200), b'{"data":[{"index":0,"embedding":[1,2]}]}')

    assert isinstance(chat, Answer)
    assert vectors == EmbedAnswer(vectors=((1.0, 2.0),))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"data":[7]}', b'{"data":[{"embedding":"?"}]}', b'{"data":[{"embedding":[null]}]}'],
)
def test_what_is_neither_is_a_fault(exchange_for: MakeExchange, body: bytes) -> None:
    exchange = exchange_for("/v1/messages", {})

    with pytest.raises(ValueError, match=r"chat completion|embedding|end of|empty|EOF|unexpected"):
        decode_answer(exchange, Reply(200), body)
