from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    BlockStarted,
    Citation,
    Collector,
    Failed,
    Finished,
    Image,
    Inline,
    Reasoning,
    Refusal,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import GatewayError, Usage
from llmproxy_openai.chat.chunks import ChunkDecoder
from llmproxy_openai.chat.streams import ChunkEncoder

from .drawn import KEYS, ODD, ODD_MESSAGES, pieces

DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None = None, word: str | None = None, index: int = 0, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": word}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    return b"data: " + orjson.dumps({**head, "choices": choices, **more}) + b"\n\n"


END = chunk({}, "stop")
MOONSHOT = (
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop",'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2}}]}\n\n'
)


def events(data: bytes, size: int = 1 << 20) -> list[StreamEvent]:
    decoder = ChunkDecoder()
    told = [event for piece in pieces(data, size) for event in decoder.feed(piece)]
    return [*told, *decoder.close()]


def is_fault(read: Callable[[], object]) -> bool:
    """Say whether the documented error is raised; any other one passes through."""
    try:
        read()
    except ValueError:
        return True
    return False


def answer(*parts: bytes) -> Answer:
    collector = Collector()
    for event in events(b"".join(parts)):
        collector.feed(event)
    return collector.answer


def content(*deltas: dict[str, Any]) -> tuple[Any, ...]:
    return answer(*map(chunk, deltas), END, DONE).choices[0].content


@pytest.mark.parametrize(
    ("deltas", "blocks"),
    [
        ([{"role": "assistant", "content": ""}, {"content": "a"}, {"content": "b"}], (Text("ab"),)),
        ([{"reasoning_content": "so"}, {"content": "a"}], (Reasoning("so"), Text("a"))),
        (
            [{"reasoning": "so", "content": ""}, {"content": "a", "reasoning": None}],
            (Reasoning("so"), Text("a")),
        ),
        ([{"refusal": "no"}, {"refusal": " way", "content": None}], (Refusal("no way"),)),
        (
            [
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}]},
                {"content": "a"},
            ],
            (Reasoning("so"), Text("a")),
        ),
        (
            [{"images": [{"image_url": {"url": "data:image/png;base64,AA=="}}]}],
            (Image(Inline("image/png", "AA==")),),
        ),
        ([{"audio": {"transcript": "hi"}}, {"audio": {"data": "AA=="}}], (Text("hi"),)),
        (
            [
                {
                    "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example"}}],
                    "content": "a",
                }
            ],
            (Text("a", citations=(Citation("url", "https://a.example"),)),),
        ),
        (
            [{"content": "a"}, {"content": "", "extra_content": {"google": {"thought_signature": "s"}}}],
            (Text("a", signature="s"),),
        ),
        (
            [{"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}],
            (ToolCall("c", "f"),),
        ),
        (
            [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": '{"a":1}'}}],
            (ToolCall("call_0e86da9ee6dbb55be9a8d68d", "f", '{"a":1}'),),
        ),
    ],
)
def test_deltas_are_read(deltas: list[dict[str, Any]], blocks: tuple[Any, ...]) -> None:
    assert [type(block) for block in content(*deltas)] == [type(block) for block in blocks]
    assert [b for b in content(*deltas) if not isinstance(b, ToolCall)] == [
        b for b in blocks if not isinstance(b, ToolCall)
    ]


def test_thoughts_with_details_bring_their_signature() -> None:
    detail = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    sealed = {"type": "reasoning.encrypted", "data": "x", "format": "anthropic-claude-v1", "index": 1}
    read = content(
        {"reasoning": "s", "reasoning_details": [{**detail, "text": "s"}]},
        {"reasoning": "o", "reasoning_details": [{**detail, "text": "o"}]},
        {"reasoning_details": [{**detail, "signature": "sig"}, sealed]},
        {"content": "a"},
    )

    assert read == (
        Reasoning("so", "sig", origin="anthropic"),
        Reasoning(redacted="x", origin="anthropic"),
        Text("a"),
    )


def test_text_beside_details_that_hold_none_is_kept() -> None:
    sealed = {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"}

    assert content({"reasoning": "so", "reasoning_details": [sealed, 5]}) == (
        Reasoning(redacted="x", origin="openai"),
        Reasoning("so"),
    )


def test_the_head_is_told_once_and_passes_over_an_empty_first_chunk() -> None:
    azure = b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[]}\n\n'
    told = events(
        azure + chunk({"content": "a"}, service_tier="default", system_fingerprint="fp") + END + DONE
    )

    assert [event for event in told if isinstance(event, Started)] == [
        Started("chatcmpl-1", "m", 7, None, "default", "fp")
    ]


@pytest.mark.parametrize(
    "told",
    [
        [END, chunk(usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})],
        [chunk({}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})],
        [
            chunk(
                {}, "stop", x_groq={"usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
            )
        ],
        [MOONSHOT],
    ],
    ids=["apart", "with the end", "groq", "moonshot"],
)
def test_usage_is_read_wherever_it_stands(told: list[bytes]) -> None:
    assert answer(chunk({"content": "a"}), *told, DONE).usage == Usage(3, 0, 0, 2)


def test_several_answers_are_kept_apart() -> None:
    read = answer(
        chunk({"content": "a"}, index=1), chunk({"content": "b"}), END, chunk({}, "length", index=1), DONE
    )

    assert [(choice.content, choice.finish) for choice in read.choices] == [
        ((Text("b"),), "stop"),
        ((Text("a"),), "length"),
    ]


def test_logprobs_are_kept() -> None:
    tokens = {"content": [{"token": "a"}]}
    body = {"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": tokens, "finish_reason": None}]}

    assert answer(b"data: " + orjson.dumps(body) + b"\n\n", END, DONE).choices[0].logprobs == tokens


def test_sources_beside_the_answer_are_hung_on_its_text() -> None:
    read = answer(chunk({"content": "a"}, citations=["https://a.example"]), END, DONE)

    assert read.choices[0].content == (Text("a", citations=(Citation("url", "https://a.example"),)),)


def test_what_comes_after_the_finish_is_still_read() -> None:
    assert answer(chunk({"content": "a"}), END, chunk({"content": "b"}), DONE).choices[0].content == (
        Text("ab"),
    )


@pytest.mark.parametrize(
    "data", [END, END.rstrip(b"\n"), END.replace(b"\n\n", b"\r\n\r\n"), b": ping\n\n" + END]
)
def test_servers_that_send_no_end_mark_are_understood(data: bytes) -> None:
    assert answer(chunk({"content": "a"}), data).choices[0].finish == "stop"


def test_a_stop_sequence_is_told() -> None:
    body = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "END"}]}
    told = events(chunk({"content": "a"}) + b"data: " + orjson.dumps(body) + b"\n\n")

    assert told[-1] == Finished("stop", "END", "stop")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        chunk({"content": "a"}),
        DONE,
        b'data: {"choices":[]}\n\n' + DONE,
        chunk({"content": "a"}).rstrip(),
    ],
)
def test_a_stream_that_ends_in_the_middle_is_no_answer(data: bytes) -> None:
    with pytest.raises(TruncatedStream):
        events(data)


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error":{"message":"too much","code":429}}\n\n',
        b'event: error\ndata: {"message":"too much","code":429}\n\n',
        b'data: {"error":{"message":"too much","code":429},"choices":[{"finish_reason":"error"}]}\n\n',
    ],
)
def test_an_error_ends_the_stream(event: bytes) -> None:
    usage = chunk(usage={"prompt_tokens": 3, "total_tokens": 3})
    told = events(chunk({"content": "a"}) + usage + event + chunk({"content": "b"}) + DONE)

    assert isinstance(told[-1], Failed)
    assert isinstance(told[-1].error, GatewayError)
    assert told[-1].error.status == 429
    assert not any(isinstance(event, Finished) for event in told)


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: []\n\n",
        b'data: {"choices":[7]}\n\n',
        b'data: {"choices":[{"index":-1,"delta":{"content":"a"}}]}\n\n',
        b'data: {"choices":[{"index":99999999,"delta":{"content":"a"}}]}\n\n',
        b'data: {"choices":[{"delta":{"tool_calls":[7]}}]}\n\n',
    ],
)
def test_what_is_no_chunk_is_a_fault(data: bytes) -> None:
    assert is_fault(lambda: ChunkDecoder().feed(data))


STREAM = b"".join(
    [
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "sö"}),
        chunk({"content": "grüß"}),
        b": ping\r\n\r\n",
        chunk({"content": " dich"}).replace(b"\n\n", b"\r\n\r\n"),
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
        chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]}),
        chunk({}, "tool_calls"),
        chunk(usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}),
        DONE,
    ]
)


@given(st.integers(1, len(STREAM)))
def test_any_chunking_gives_the_same_events(size: int) -> None:
    assert events(STREAM, size) == events(STREAM)


@given(st.integers(0, len(STREAM) - 1), st.binary(max_size=12), st.integers(0, 40))
def test_a_spoilt_stream_raises_the_documented_error_or_is_read(at: int, junk: bytes, gone: int) -> None:
    try:
        told = events(STREAM[:at] + junk + STREAM[at + gone :], 50)
    except ValueError:
        return
    assert isinstance(told[-1], Failed) or any(isinstance(event, Finished) for event in told)


@given(st.lists(st.tuples(st.dictionaries(st.sampled_from(KEYS), ODD, max_size=3), ODD_MESSAGES), max_size=4))
def test_whatever_chunks_come_are_read_or_a_fault(told: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    decoder, collector = ChunkDecoder(), Collector()
    encoder = ChunkEncoder(Started("x", "m", 1), include_usage=True, legacy=False)
    try:
        for more, delta in told:
            data = {**more, "choices": [{**more, "delta": delta}]}
            for event in decoder.feed(b"data: " + orjson.dumps(data) + b"\n\n"):
                collector.feed(event)
                encoder.feed(event)
        decoder.close()
    except ValueError:
        return


@given(st.integers(0, STREAM.index(b'"finish_reason":"tool_calls"')))
def test_a_stream_cut_before_its_finish_never_ends_as_complete(at: int) -> None:
    assert is_fault(lambda: events(STREAM[:at]))


@pytest.mark.shared
def test_every_recorded_stream_is_read_however_it_is_cut(chats: list[dict[str, Any]], judge: Any) -> None:
    read, changed = 0, []
    for record in chats:
        if record["response"]["status"] >= 400 or "events" not in record["response"]:
            continue
        data = "".join(record["response"]["events"]).encode()
        truth = judge.parse_response("openai.chat", record["response"])
        told = events(data)
        collector = Collector()
        for event in told:
            collector.feed(event)
        read += 1
        if truth.error:
            assert collector.failed is not None
            continue
        totals = re.findall(rb'"total_tokens" ?: ?(\d+)', data)
        if totals:
            assert collector.answer.usage is not None
            assert collector.answer.usage.total == int(totals[-1])
        choice = collector.answer.choices[0]
        text = "".join(block.text for block in choice.content if isinstance(block, Text))
        names = [block.name for block in choice.content if isinstance(block, ToolCall)]
        if text != truth.text or names != [call["name"] for call in truth.calls] or events(data, 61) != told:
            changed.append(record["id"])

    assert changed == []
    assert read > 150


def test_a_message_beside_deltas_repeats_them_and_alone_it_is_one() -> None:
    def both(said: str, delta: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "message": {"content": said}, "finish_reason": None}
        return b"data: " + orjson.dumps({"id": "c", "choices": [choice]}) + b"\n\n"

    repeated = answer(both("a", {"content": "a"}), both("ab", {"content": "b"}), both("ab", {}), END, DONE)
    alone = answer(both("a", None), both("b", None), END, DONE)

    assert repeated.choices[0].content == alone.choices[0].content == (Text("ab"),)


def test_an_error_may_be_an_object_that_says_so() -> None:
    told = events(chunk({"content": "a"}) + b'data: {"object":"error","message":"later","code":503}\n\n')

    assert isinstance(told[-1], Failed)
    assert (told[-1].error.message, told[-1].error.status) == ("later", 503)


def test_a_call_of_which_the_name_alone_was_told_is_told_before_an_error() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}
    told = events(chunk({"tool_calls": [call]}) + b'data: {"error":{"message":"later"}}\n\n')

    assert [event.block.name for event in told if isinstance(event, BlockStarted)] == ["f"]
