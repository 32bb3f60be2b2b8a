from __future__ import annotations

import asyncio
import base64
import struct
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from llmproxy.canonical import Answer, Choice, GenerateRequest, Losses, Message, Text
from llmproxy.plugin import (
    Body,
    ClientRequest,
    Endpoint,
    Exchange,
    Headers,
    Member,
    Reply,
    UpstreamFace,
    Usage,
)
from llmproxy_demo.upstream import DemoUpstream

CHAT = "/v1/chat/completions"
face = DemoUpstream()
typed_face: UpstreamFace = face


def exchange_for(path: str, method: str = "POST") -> Exchange:
    route: Any = SimpleNamespace(meter_usage=True)
    return Exchange(ClientRequest(method, path, Headers()), route, "test", 0.0)


async def ask(path: str, asked: Any = None, *, method: str = "POST") -> tuple[Reply, Exchange]:
    exchange = exchange_for(path, method)
    body = b"" if asked is None else orjson.dumps(asked)
    return await face.send(exchange, face.encode(exchange, Endpoint("demo"), body)), exchange


async def say(text: str, **more: Any) -> tuple[Reply, Exchange]:
    return await ask(CHAT, {"model": "echo", "messages": [{"role": "user", "content": text}], **more})


async def whole(reply: Reply) -> bytes:
    return await reply.body.read(1 << 27) if isinstance(reply.body, Body) else reply.body


async def value(reply: Reply) -> Any:
    return orjson.loads(await whole(reply))


async def test_a_chat_is_echoed_and_counted() -> None:
    reply, exchange = await say("Hello you")
    tap = face.tap(exchange, reply)

    assert (await value(reply))["choices"][0]["message"]["content"] == "Hello you"
    assert tap is not None
    assert (tap.first_output, tap.terminal, tap.usage) == (True, True, Usage(input=2, output=2))


async def test_a_streams_tap_follows_the_answer() -> None:
    reply, exchange = await say("[[stall 20ms after 0]] Hello", stream=True)
    tap = face.tap(exchange, reply)
    assert tap is not None
    assert isinstance(reply.body, Body)

    seen = []
    async for piece in reply.body.pieces():
        tap.feed(piece)
        seen.append((b"Hello" in piece, tap.first_output))
    tap.end()

    assert seen[0] == (False, False)
    assert all(output for _, output in seen[1:])
    assert (tap.terminal, tap.usage) == (True, Usage(input=1 + 8, output=1))


async def test_usage_comes_with_the_stream_if_asked_for() -> None:
    reply, _ = await say("Hi", stream=True, stream_options={"include_usage": True})

    assert b'"choices":[],"usage":{"prompt_tokens":1' in await whole(reply)


async def test_the_same_request_gets_the_same_bytes() -> None:
    first, second = [await whole((await say("Hi", stream=True))[0]) for _ in range(2)]

    assert first == second


@pytest.mark.parametrize(
    "said", ["Hello", [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}]]
)
async def test_responses_are_echoed(said: Any) -> None:
    reply, _ = await ask("/v1/responses", {"model": "demo/echo", "input": said})

    assert (await value(reply))["output"][0]["content"][0]["text"] == "Hello"


async def test_responses_are_streamed() -> None:
    reply, _ = await ask("/v1/responses", {"model": "echo", "input": "Hello", "stream": True})

    assert (await whole(reply)).count(b"event: ") == 9


async def test_embeddings_are_unit_vectors_in_either_form() -> None:
    asked = {"model": "echo", "input": ["a b", "c"], "dimensions": 8}
    floats, exchange = await ask("/v1/embeddings", asked)
    packed, _ = await ask("/v1/embeddings", asked | {"encoding_format": "base64"})

    numbers = [each["embedding"] for each in (await value(floats))["data"]]
    unpacked = [struct.unpack("<8f", base64.b64decode(e["embedding"])) for e in (await value(packed))["data"]]
    assert [pytest.approx(vector, abs=1e-6) for vector in numbers] == unpacked
    assert exchange.state is not None
    assert (await value(floats))["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


@pytest.mark.parametrize("given", ["text", [1, 2, 3], [[1, 2], [3]], ["a", "b"]])
async def test_every_kind_of_input_is_embedded(given: Any) -> None:
    reply, _ = await ask("/v1/embeddings", {"model": "echo", "input": given})

    assert reply.status == 200


@pytest.mark.parametrize(
    ("path", "asked", "status", "code"),
    [
        (CHAT, {"model": "gpt", "messages": []}, 404, "model_not_found"),
        (CHAT, {"messages": []}, 404, "model_not_found"),
        (CHAT, [1], 400, "invalid_json"),
        (CHAT, {"model": "echo"}, 400, "invalid_type"),
        (CHAT, {"model": "echo", "messages": [{"role": "user", "content": "[[cut]]"}]}, 400, "bad_directive"),
        ("/v1/embeddings", {"model": "echo", "input": ""}, 400, "invalid_value"),
        ("/v1/embeddings", {"model": "echo", "input": "x", "dimensions": 5000}, 400, "invalid_value"),
        ("/v1/audio/speech", {"model": "echo"}, 404, "not_found"),
        ("/v1/files", None, 400, "invalid_json"),
    ],
)
async def test_what_it_does_not_do_is_refused_as_openai_would(
    path: str, asked: Any, status: int, code: str
) -> None:
    reply, _ = await ask(path, asked)

    assert (reply.status, (await value(reply))["error"]["code"]) == (status, code)


async def test_it_lists_its_model() -> None:
    listing, _ = await ask("/v1/models", method="GET")
    one, _ = await ask("/v1/models/echo?x=1", method="GET")
    none, _ = await ask("/v1/models/gpt", method="GET")

    assert [model["id"] for model in (await value(listing))["data"]] == ["echo"]
    assert (await value(one))["id"] == "echo"
    assert none.status == 404


@pytest.mark.parametrize(("text", "after"), [("[[fail 503]] x", None), ("[[fail 429 1.5s]]", "1.5")])
@pytest.mark.parametrize("stream", [False, True])
async def test_it_fails_when_told(text: str, after: str | None, stream: bool) -> None:
    reply, exchange = await say(text, stream=stream)
    tap = face.tap(exchange, reply)

    assert reply.status in (503, 429)
    assert reply.headers.get("retry-after") == after
    assert tap is not None
    assert tap.usage is None


async def test_a_cut_stream_breaks_off_after_so_many_words() -> None:
    reply, exchange = await say("[[cut after 2]] one two three", stream=True)
    assert isinstance(reply.body, Body)
    pieces: list[bytes] = []

    with pytest.raises(ConnectionResetError):
        await collect(reply.body, pieces)

    tap = face.tap(exchange, reply)
    assert b"two" in b"".join(pieces)
    assert b"three" not in b"".join(pieces)
    assert tap is not None
    assert (tap.terminal, tap.usage) == (False, None)


async def collect(body: Body, pieces: list[bytes]) -> None:
    async for piece in body.pieces():
        pieces.append(piece)  # noqa: PERF401 - what came before a fault counts


async def test_a_cut_answer_breaks_off_half_way() -> None:
    reply, _ = await say("[[cut after 2]] one two three")

    with pytest.raises(ConnectionResetError):
        await whole(reply)


async def test_a_cut_beyond_the_end_comes_before_the_end_marker() -> None:
    reply, _ = await say("[[cut after 99]] one", stream=True)

    with pytest.raises(ConnectionResetError):
        await whole(reply)


async def test_a_stall_beyond_the_end_comes_before_the_end_marker() -> None:
    reply, _ = await say("[[stall 1ms after 99]] one", stream=True)

    assert (await whole(reply)).endswith(b"data: [DONE]\n\n")


async def test_a_slow_answer_arrives_whole() -> None:
    streamed, _ = await say("[[slow 1ms]] one two", stream=True)
    unary, _ = await say("[[slow 1ms]] [[stall 1ms after 1]] one two")

    assert b" two" in await whole(streamed)
    assert b"one two" in await whole(unary)


async def test_a_size_is_exact() -> None:
    reply, _ = await say("[[size 100KiB]] ab")

    assert len((await value(reply))["choices"][0]["message"]["content"]) == 102_400


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stall_before_headers_ends_when_the_caller_leaves(stream: bool) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await say("[[stall 60s]] x", stream=stream)


async def test_a_stall_in_a_stream_ends_when_the_caller_leaves() -> None:
    reply, _ = await say("[[stall 60s after 0]] x", stream=True)
    assert isinstance(reply.body, Body)

    pieces = reply.body.pieces()
    assert b"assistant" in await anext(pieces)
    await pieces.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert isinstance(reply.body.error, ConnectionAbortedError)


def test_the_endpoints_model_is_put_into_the_body() -> None:
    exchange = exchange_for(CHAT)
    exchange.members = {"model": Member(1, 9, 15)}

    request = face.encode(exchange, Endpoint("demo", "echo"), b'{"model":"fast"}')

    assert request.body == b'{"model":"echo"}'
    assert (request.method, request.target, len(request.headers)) == ("POST", CHAT, 0)


def test_the_endpoints_model_is_put_into_a_body_that_was_read_plainly() -> None:
    exchange = exchange_for(CHAT)
    exchange.model = "fast"

    request = face.encode(exchange, Endpoint("demo", "echo"), b'{"model":"fast"}')

    assert request.body == b'{"model":"echo"}'


async def test_nothing_is_sent_or_filtered() -> None:
    exchange = exchange_for(CHAT)

    assert face.credentials("key") == []
    assert face.stream_filter(exchange) is None
    assert face.tap(exchange, Reply(200)) is None


async def test_callers_of_another_dialect_are_translated() -> None:
    exchange = exchange_for("/v1/messages")
    asked = GenerateRequest(model="fast", messages=(Message("user", (Text("hello there"),)),))

    wire = face.encode_request(exchange, Endpoint("demo", "echo"), asked, Losses())
    assert wire is not None
    reply = await face.send(exchange, wire)
    assert isinstance(reply.body, bytes)
    answer = face.decode_answer(exchange, reply, reply.body)

    assert isinstance(answer, Answer)
    assert answer.choices == (Choice(content=(Text("hello there"),), finish="stop"),)
    assert face.stream_decoder(exchange, reply) is None
