from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from llmproxy.canonical import (
    Answer,
    BlockEnded,
    BlockStarted,
    Choice,
    Citation,
    Cited,
    Collector,
    Counted,
    Delta,
    Failed,
    Finished,
    Foreign,
    Image,
    Inline,
    Losses,
    Ping,
    Reasoning,
    Signed,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    events_of,
)
from llmproxy.plugin import GatewayError, Usage
from llmproxy_openai.chat.chunks import ChunkDecoder
from llmproxy_openai.chat.streams import ChunkEncoder
from llmproxy_openai.chat.turns import Turns

from .drawn import answers


def written(*events: StreamEvent, usage: bool = False, legacy: bool = False) -> bytes:
    encoder = ChunkEncoder(Started("chatcmpl-own", "m", 7), include_usage=usage, legacy=legacy)
    told = [piece for event in events for piece in encoder.feed(event)]
    return b"".join([*told, *encoder.close()])


def chunks(data: bytes) -> list[Any]:
    lines = [block for block in data.split(b"\n\n") if block]
    return [orjson.loads(line[6:]) for line in lines if line != b"data: [DONE]"]


def deltas(*events: StreamEvent, legacy: bool = False) -> list[dict[str, Any]]:
    told = chunks(written(Started(), *events, Finished("stop"), legacy=legacy))
    return [choice["delta"] for chunk in told[1:-1] for choice in chunk["choices"]]


@given(answers())
def test_a_streamed_answer_comes_back_as_it_went(answer: Answer) -> None:
    data = written(*events_of(answer), usage=True)
    decoder, collector = ChunkDecoder(), Collector()
    for event in [*decoder.feed(data), *decoder.close()]:
        collector.feed(event)

    assert collector.answer == answer


@given(answers())
def test_every_chunk_is_of_openais_grammar(answer: Answer) -> None:
    data = written(*events_of(answer))
    told = chunks(data)

    assert data.endswith(b"data: [DONE]\n\n")
    for chunk in told:
        ChatCompletionChunk.model_validate(chunk)
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in told}) == 1
    for place in range(len(answer.choices)):
        own = [choice for chunk in told for choice in chunk["choices"] if choice["index"] == place]
        assert own[0]["delta"]["role"] == "assistant"
        assert [choice["finish_reason"] is None for choice in own] == [True] * (len(own) - 1) + [False]
        indexes = [call["index"] for choice in own for call in choice["delta"].get("tool_calls", [])]
        assert indexes == sorted(indexes)


def test_calls_told_in_turn_keep_their_index() -> None:
    told = deltas(
        BlockStarted(0, ToolCall("a", "f", "")),
        BlockStarted(1, ToolCall("b", "g", "")),
        Delta(1, '{"y":'),
        Delta(0, "{}"),
        Delta(1, "2}"),
        BlockEnded(0),
        BlockEnded(1),
    )

    assert [call["index"] for delta in told for call in delta["tool_calls"]] == [0, 1, 1, 0, 1]
    assert told[0]["tool_calls"][0] == {
        "index": 0,
        "id": "a",
        "type": "function",
        "function": {"name": "f", "arguments": ""},
    }


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    told = deltas(BlockStarted(0, ToolCall("a", "f", "")), BlockEnded(0))
    left_open = deltas(BlockStarted(0, ToolCall("a", "f")))

    assert [delta["tool_calls"][0]["function"]["arguments"] for delta in told] == ["", "{}"]
    assert told == left_open


def test_a_foreign_thought_comes_as_text_and_as_pieces_of_an_item() -> None:
    told = deltas(
        BlockStarted(0, Reasoning("", origin="anthropic")),
        Delta(0, "s"),
        Delta(0, "o"),
        Signed(0, "sig"),
        BlockEnded(0),
        BlockStarted(1, Reasoning("", redacted="x", origin="anthropic")),
        BlockEnded(1),
    )

    piece = {"type": "reasoning.text", "index": 0}
    form = {"format": "anthropic-claude-v1"}
    assert told == [
        {"reasoning_content": "s", "reasoning_details": [{**piece, "text": "s", **form}]},
        {"reasoning_content": "o", "reasoning_details": [{**piece, "text": "o"}]},
        {"reasoning_details": [{**piece, "text": "", "signature": "sig"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "index": 1, **form}]},
    ]


def test_a_thought_that_nobody_proves_is_text_alone() -> None:
    told = deltas(BlockStarted(0, Reasoning("")), Delta(0, "so"), BlockEnded(0))

    assert told == [{"reasoning_content": "so"}]


def test_signatures_of_calls_and_texts_are_geminis() -> None:
    told = deltas(
        BlockStarted(0, Text("")),
        Delta(0, "a"),
        Signed(0, "s1"),
        BlockEnded(0),
        BlockStarted(1, ToolCall("c", "f", "", "s2")),
        Delta(1, "{}"),
        Signed(1, "s3"),
    )

    assert told[1] == {"extra_content": {"google": {"thought_signature": "s1"}}}
    assert told[2]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "s2"}}
    signed = {
        "index": 0,
        "function": {"arguments": ""},
        "extra_content": {"google": {"thought_signature": "s3"}},
    }
    assert told[4]["tool_calls"] == [signed]


def test_sources_are_annotations() -> None:
    page = Citation("url", "https://a.example", "A")
    told = deltas(
        BlockStarted(0, Text("")),
        Delta(0, "one"),
        BlockEnded(0),
        BlockStarted(1, Text("")),
        Delta(1, "two"),
        Cited(1, page),
        Cited(1, Citation("char")),
        BlockEnded(1),
    )

    cited = {"start_index": 3, "end_index": 6, "title": "A", "url": "https://a.example"}
    assert told[2:] == [{"annotations": [{"type": "url_citation", "url_citation": cited}]}]


def test_pictures_and_free_text_calls_come_whole() -> None:
    value = {"type": "custom_tool_call", "call_id": "c", "name": "sh", "input": "ls"}
    told = deltas(
        BlockStarted(0, Image(Inline("image/png", "AA=="))),
        BlockEnded(0),
        BlockStarted(1, Foreign("openai", value)),
        BlockStarted(2, Foreign("anthropic", {})),
        Ping(),
    )

    assert told == [
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
        {"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]},
    ]


def test_callers_of_functions_get_one() -> None:
    told = deltas(BlockStarted(0, ToolCall("c", "f", "")), Delta(0, "{}"), Signed(0, "s"), legacy=True)

    assert told == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
    ]


@pytest.mark.parametrize("asked", [True, False])
def test_usage_is_told_last_and_only_if_asked_for(asked: bool) -> None:
    events = [
        Started(),
        BlockStarted(0, Text("")),
        Delta(0, "a"),
        Finished("stop"),
        Counted(Usage(3, 1, 0, 2)),
    ]
    told = chunks(written(*events, usage=asked))

    assert [("usage" in chunk, bool(chunk["choices"])) for chunk in told[:-1]] == [(asked, True)] * (
        len(told) - 1
    )
    assert (told[-1]["choices"] == []) is asked
    if asked:
        assert told[-1]["usage"]["total_tokens"] == 6


def test_an_error_ends_the_stream_without_the_mark() -> None:
    data = written(Started(), BlockStarted(0, Text("")), Failed(GatewayError(529, "overloaded", "Busy.")))

    assert data.endswith(b"\n\n")
    assert b"[DONE]" not in data
    assert orjson.loads(data.rpartition(b"data: ")[2])["error"]["message"] == "Busy."


def test_events_of_blocks_that_never_began_are_passed_over() -> None:
    assert deltas(Delta(5, "a"), Signed(5, "s"), Cited(5, Citation("url")), BlockEnded(5)) == []


def test_the_provider_names_the_answer_if_it_can() -> None:
    [chunk] = chunks(written(Started("gen-1", "their-model", 9), Finished("stop")))[:1]

    assert (chunk["id"], chunk["model"], chunk["created"]) == ("gen-1", "their-model", 9)


def test_the_sdk_puts_a_stream_together() -> None:
    thought = Reasoning("so", "sig", origin="anthropic")
    sealed = Reasoning(redacted="x", origin="anthropic")
    choice = Choice(content=(thought, sealed, Text("a"), ToolCall("c", "f", '{"x":1}')), finish="tool_calls")
    told = chunks(written(*events_of(Answer(choices=(choice,)))))
    state = ChatCompletionStreamState()
    for chunk in told:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))

    message = state.get_final_completion().choices[0].message
    sent_back = message.model_dump(exclude_none=True)
    turns = Turns(Losses())
    turns.take(sent_back, "")
    assert turns.messages[0].content == choice.content
