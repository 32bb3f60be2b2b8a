from __future__ import annotations

import msgspec
import orjson
import pytest

from llmproxy.canonical import (
    Answer,
    Choice,
    Collector,
    CountRequest,
    EmbedAnswer,
    EmbedRequest,
    GenerateRequest,
    Image,
    Link,
    Losses,
    Message,
    Text,
    ToolCall,
    ToolResult,
    TruncatedStream,
)
from llmproxy.plugin import Body, ClientRequest, Exchange, Headers, UpstreamRequest, Usage
from llmproxy_demo.translation import EchoDecoder, decode, encode
from llmproxy_demo.upstream import DemoUpstream


def asking(*messages: Message, streamed: bool = False) -> GenerateRequest:
    return GenerateRequest(model="echo", messages=messages, streamed=streamed)


def user(text: str) -> Message:
    return Message("user", (Text(text),))


def without_ids(choice: Choice) -> Choice:
    """A request for a stream is another request, and its answer has another id."""
    content = (msgspec.structs.replace(b, id="") if isinstance(b, ToolCall) else b for b in choice.content)
    return msgspec.structs.replace(choice, content=tuple(content))


async def answered(wire: UpstreamRequest | None) -> bytes:
    assert wire is not None
    request = ClientRequest("POST", "/v1/messages", Headers())
    reply = await DemoUpstream().send(Exchange(request, None, "test", 0.0), wire)  # type: ignore[arg-type]
    return await reply.body.read(1 << 20) if isinstance(reply.body, Body) else reply.body


async def test_the_model_echoes_whole() -> None:
    answer = decode(await answered(encode(asking(user("one two")), "echo", Losses())))

    assert isinstance(answer, Answer)
    assert answer.choices == (Choice(content=(Text("one two"),), finish="stop"),)
    assert answer.usage == Usage(input=2, output=2)


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("said", ["one two", '[[tool look {"at": "this"}]]'])
async def test_a_stream_tells_the_same_as_a_whole_answer_however_it_is_cut(said: str, size: int) -> None:
    whole = decode(await answered(encode(asking(user(said)), "echo", Losses())))
    data = await answered(encode(asking(user(said), streamed=True), "echo", Losses()))
    decoder, collector = EchoDecoder(), Collector()

    for start in range(0, len(data), size):
        for event in decoder.feed(data[start : start + size]):
            collector.feed(event)

    assert list(decoder.close()) == []
    assert isinstance(whole, Answer)
    assert [without_ids(c) for c in collector.answer.choices] == [without_ids(c) for c in whole.choices]
    assert collector.answer.usage == whole.usage


async def test_a_stream_without_its_end_is_no_answer() -> None:
    data = await answered(encode(asking(user("one two"), streamed=True), "echo", Losses()))
    decoder = EchoDecoder()
    decoder.feed(data.removesuffix(b"data: [DONE]\n\n"))

    with pytest.raises(TruncatedStream):
        decoder.close()


def test_results_of_tools_stand_in_messages_of_their_own() -> None:
    called = Message("assistant", (ToolCall("c1", "look"),))
    result = Message("user", (ToolResult("c1", (Text("seen"),)), Text("and now?")))
    wire = encode(asking(user("look"), called, result), "echo", Losses())

    assert wire is not None
    assert orjson.loads(wire.body)["messages"] == [  # type: ignore[arg-type]
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": ""},
        {"role": "tool", "content": "seen"},
        {"role": "user", "content": "and now?"},
    ]


def test_what_an_echo_cannot_do_is_told() -> None:
    losses = Losses()
    picture = Message("user", (Image(Link("https://example.com/a.png")),))
    encode(GenerateRequest(model="echo", messages=(picture,), temperature=0.5), "echo", losses)

    assert [loss.field for loss in losses] == ["temperature", "content.image"]


async def test_vectors_come_for_any_caller() -> None:
    asked = EmbedRequest(model="echo", inputs=("one", "two"), dimensions=4)
    answer = decode(await answered(encode(asked, "echo", Losses())))

    assert isinstance(answer, EmbedAnswer)
    assert [len(vector) for vector in answer.vectors] == [4, 4]
    assert answer.usage == Usage(input=2)


def test_tokens_are_counted_by_the_gateway() -> None:
    assert encode(CountRequest(request=asking(user("x"))), "echo", Losses()) is None
