from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Failed, Finished, Reasoning, StreamEvent, Text, ToolCall, TruncatedStream
from llmproxy.plugin import EventTooLarge, ProviderError, Usage
from llmproxy_declared.decoder import Decoder
from llmproxy_declared.places import BadAnswer

from .conftest import bytes_of, declared, example, exchange, minimal, reply, sse, streamed

SIMPLE = minimal(stream={"text": "/d", "end": "[DONE]"})


def decoder(config: dict[str, Any], *, lines: bool = False) -> Decoder:
    kind = "application/x-ndjson" if lines else "text/event-stream"
    asked = exchange(streamed=True)
    asked._serial = "1"  # calls without ids get the same ones each time
    found = declared(**config).stream_decoder(asked, reply(kind))
    assert found is not None
    return found


def lines(*documents: Any) -> bytes:
    return b"".join(orjson.dumps(each) + b"\n" for each in documents)


def test_a_stream_is_read_to_its_mark():
    got = streamed(declared(**SIMPLE), b": hello\n\n" + sse({"d": "Hel"}, {"d": "lo"}, "[DONE]", {"d": "!"}))

    assert got.answer.choices[0].content == (Text("Hello"),)
    assert got.answer.choices[0].finish == "stop"


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        ({"text": "/d", "end": "[DONE]"}, sse({"d": "a"})),
        ({"text": "/d", "end": "[DONE]"}, b""),
        ({"text": "/d", "end": "[DONE]"}, sse("[DONE]")),
        ({"text": "/d", "end": "/done"}, sse({"d": "a", "done": False})),
        ({"text": "/d", "finish": "/f"}, sse({"d": "a", "f": None})),
        ({"text": "/d", "finish": "/f", "end": "[DONE]"}, sse({"d": "a", "f": "stop"})),
        ({"text": "/d", "end": "close"}, b""),
        ({"text": "/d", "end": "close"}, sse("[DONE]")),
    ],
)
def test_a_stream_without_its_end_is_cut(stream, data):
    with pytest.raises(TruncatedStream):
        streamed(declared(**minimal(stream=stream)), data)


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        ({"text": "/d", "end": "/done"}, sse({"d": "a"}, {"done": True})),
        ({"text": "/d", "end": {"/type": "end"}}, sse({"d": "a"}, {"type": "end"})),
        ({"text": "/d", "end": {"event": "done"}}, sse({"d": "a"}) + b"event: done\ndata: {}\n\n"),
        ({"text": "/d", "finish": "/f"}, sse({"d": "a"}, {"f": "stop"})),
        ({"text": "/d", "finish": "/f"}, sse({"d": "a"}, {"f": "stop"}, "[DONE]")),
        ({"text": "/d", "end": "close"}, sse({"d": "a"})),
        ({"text": "/d", "end": "close"}, b'data: {"d": "a"}'),
        ({"data": "text", "text": "", "end": {"event": "done"}}, b"data: a\n\nevent: done\ndata: {}\n\n"),
        ({"text": "", "end": "[DONE]"}, sse('"a"', "[DONE]")),
    ],
)
def test_each_way_to_end_is_one(stream, data):
    got = streamed(declared(**minimal(stream=stream)), data).answer.choices[0]

    assert got.finish == "stop"
    assert got.content[0] == Text("a")


def test_lines_are_events():
    face = declared(**minimal(stream={"framing": "ndjson", "text": "/d", "end": "/done"}))
    got = streamed(face, lines({"d": "a"}, {"d": "b"}, {"d": "c", "done": True})[:-1], "application/x-ndjson")

    assert got.answer.choices[0].content == (Text("abc"),)


def test_text_may_be_told_from_the_start_each_time():
    stream = {"text": "/d", "cumulative": True, "tool_calls": "/calls", "end": "[DONE]"}
    call = {"name": "f", "id": "1"}
    face = declared(**minimal(stream=stream))
    got = streamed(
        face, sse({"d": "He"}, {"d": "Hello", "calls": [call]}, {"d": "Hello", "calls": [call]}, "[DONE]")
    )

    assert got.answer.choices[0].content == (Text("Hello"), ToolCall("1", "f"))
    failed = streamed(face, sse({"d": "He"}, {"d": "Ho"}, "[DONE]")).failed
    assert failed is not None
    assert "takes back" in failed.error.message


def test_usage_comes_when_it_comes_and_the_last_counts():
    stream = {"text": "/d", "usage": {"input": "/u/i", "output": "/u/o"}, "end": "[DONE]"}
    got = streamed(
        declared(**minimal(stream=stream)),
        sse({"u": {"i": 4}}, {"d": "a", "u": {"o": 1}}, {"u": {"o": 2}}, "[DONE]"),
    )

    assert got.answer.usage == Usage(4, 0, 0, 2, 0)


@pytest.mark.parametrize(
    ("errors", "data", "expected"),
    [
        ({}, sse({"d": "a"}, {"error": {"message": "no", "code": 429}}), (429, "no")),
        ({}, sse({"d": "a"}) + b'event: error\ndata: {"message": "oh"}\n\n', (500, "oh")),
        ({"when": {"/ok": False}, "message": "/why"}, sse({"ok": False, "why": "so"}), (500, "so")),
    ],
)
def test_an_error_ends_a_stream(errors, data, expected):
    got = streamed(declared(**SIMPLE, errors=errors), data + sse({"d": "more"}, "[DONE]"))

    assert got.failed is not None
    error = got.failed.error
    assert isinstance(error, ProviderError)
    assert (error.status, error.message) == expected
    assert all("more" not in str(choice) for choice in got.answer.choices)


def test_choices_are_told_apart():
    face = example("completions")
    events = [
        {"choices": [{"index": n, "text": f"{n}{k}", "finish_reason": None}]} for k in "ab" for n in (1, 0)
    ]
    got = streamed(
        face, sse(*events, {"choices": [{"index": 0, "text": "", "finish_reason": "length"}]}, "[DONE]")
    )

    assert [choice.content for choice in got.answer.choices] == [(Text("0a0b"),), (Text("1a1b"),)]
    assert [choice.finish for choice in got.answer.choices] == ["length", "stop"]


@pytest.mark.parametrize(
    "data",
    [
        sse("no json"),
        sse({"d": 7}),
        sse({"d": ["a", 1]}),
        sse("[" * 5000 + "]" * 5000),
        sse({"d": "a", "why": 1}).replace(b"}", b""),
    ],
)
def test_what_is_not_as_declared_is_told(data):
    got = streamed(declared(**SIMPLE), sse({"d": "before"}) + data)

    assert got.failed is not None
    assert isinstance(got.failed.error, BadAnswer)
    assert got.failed.error.phase == "body"
    assert got.answer.choices[0].content == (Text("before"),)
    assert got.answer.choices[0].finish is None


def test_what_fails_before_output_may_be_tried_elsewhere():
    failed = streamed(declared(**SIMPLE), sse("no json")).failed

    assert failed is not None
    assert isinstance(failed.error, BadAnswer)
    assert failed.error.phase == "first_token"


CALL = st.fixed_dictionaries(
    {"name": st.just("f"), "arguments": st.dictionaries(st.text(max_size=2), st.integers(0, 9), max_size=1)}
)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "d": st.text(max_size=4),
            "r": st.text(max_size=4),
            "calls": st.lists(CALL, max_size=2),
            "u": st.integers(0, 9),
            "f": st.sampled_from(["stop", "length", None]),
        },
    ),
    max_size=6,
)
RICH = minimal(
    stream={
        "text": "/d",
        "reasoning": "/r",
        "tool_calls": "/calls",
        "usage": {"input": "/u"},
        "finish": "/f",
        "end": "[DONE]",
    }
)


def run(one: Decoder, pieces: list[bytes]) -> tuple[list[StreamEvent], str]:
    """Return the events of pieces, and what ended them."""
    events: list[StreamEvent] = []
    try:
        for piece in pieces:
            events += one.feed(piece)
        events += one.close()
    except (BadAnswer, TruncatedStream, EventTooLarge) as fault:
        return events, type(fault).__name__
    return events, ""


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *marks], [*marks, len(data)], strict=True)]


@given(
    EVENTS,
    st.lists(st.integers(0, 10**6), max_size=8),
    st.sampled_from(["\n\n", "\r\n\r\n", "\r\r"]),
    st.booleans(),
)
def test_any_chunking_gives_the_same_events(documents, places, blank, framed):
    if framed:
        data = (
            "".join(f"data: {orjson.dumps(each).decode()}{blank}" for each in [*documents]).encode()
            + b"data: [DONE]\n\n"
        )
        whole = run(decoder(RICH), [data])
        pieces = run(decoder(RICH), cut(data, places))
    else:
        stream = {**RICH["stream"], "framing": "ndjson", "end": "/end"}
        data = lines(*documents, {"end": True})
        whole = run(decoder({**RICH, "stream": stream}, lines=True), [data])
        pieces = run(decoder({**RICH, "stream": stream}, lines=True), cut(data, places))

    assert pieces == whole
    assert whole[1] == ("" if documents or not framed else "TruncatedStream")


@given(
    EVENTS.filter(bool),
    st.integers(0, 10**6),
    st.binary(min_size=1, max_size=9),
    st.lists(st.integers(0, 10**6), max_size=6),
)
def test_spoilt_streams_are_the_same_in_any_pieces(documents, at, noise, places):
    data = sse(*documents, "[DONE]")
    at %= len(data) + 1
    data = data[:at] + noise + data[at:]

    assert str(run(decoder(RICH), cut(data, places))) == str(run(decoder(RICH), [data]))


@given(EVENTS.filter(bool), st.integers(0, 10**6), st.binary(max_size=6))
def test_a_stream_that_was_cut_or_spoilt_is_never_whole(documents, at, noise):
    data = sse(*documents)
    at %= len(data) + 1
    for spoilt in (data[:at], data[:at] + noise):
        events, fault = run(decoder(RICH), [spoilt])

        assert fault or isinstance(events[-1], Failed)
        assert not any(isinstance(event, Finished) for event in events)


@given(st.binary(max_size=200), st.booleans())
def test_noise_is_no_answer(noise, framed):
    events, fault = run(decoder(RICH, lines=not framed), [noise])

    assert fault or any(isinstance(event, Finished | Failed) for event in events)


def test_recorded_streams_are_read_in_any_pieces(recordings):
    seen = set()
    for record, name in recordings:
        answer = record["response"]
        if not ("events" in answer or "lines" in answer) or answer["status"] >= 300 or name in seen:
            continue
        seen.add(name)
        kind, data = answer["headers"].get("content-type", "text/event-stream"), bytes_of(answer)
        made = [example(name).stream_decoder(exchange(streamed=True), reply(kind)) for _ in range(3)]
        whole, by_byte, by_seven = (
            run(one, pieces)
            for one, pieces in zip(
                made,
                [
                    [data],
                    [data[n : n + 1] for n in range(len(data))],
                    [data[n : n + 7] for n in range(0, len(data), 7)],
                ],
                strict=True,
            )
            if one is not None
        )

        assert whole == by_byte == by_seven
        assert whole[1] == "", record["id"]
    assert seen == {"ollama-generate", "cohere-v1", "completions", "writer"}


def test_thoughts_come_before_text():
    got = streamed(declared(**RICH), sse({"r": "Hm"}, {"r": "m", "d": "Hi"}, "[DONE]"))

    assert got.answer.choices[0].content == (Reasoning("Hmm"), Text("Hi"))
