from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Usage, event_data
from llmproxy.testing import assert_bytes_invariant
from llmproxy_openai.taps import LONG_TAIL, TAIL, StreamTap, has_output
from llmproxy_openai.usage import read_usage

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def event(value: Any, name: str | None = None, end: bytes = b"\n") -> bytes:
    head = b"" if name is None else b"event: " + name.encode() + end
    return head + b"data: " + orjson.dumps(value) + end + end


def chunk(delta: dict[str, Any], **more: Any) -> bytes:
    return event({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}], **more})


def typed(kind: str, **more: Any) -> bytes:
    return event({"type": kind, **more}, kind)


ROLE = chunk({"role": "assistant", "content": ""}, usage=None)
CHAT = b"".join(
    [
        b": ping\n\n",
        ROLE,
        *(chunk({"content": f"word {n} "}) for n in range(60)),
        event({"choices": [], "usage": USAGE}),
        DONE,
    ]
)
COMPLETED = typed(
    "response.completed",
    response={"usage": {"input_tokens": 5, "output_tokens": 6}, "output": [{"text": "x" * 6000}]},
)
RESPONSES = b"".join(
    [
        typed("response.created", response={"usage": None, "instructions": "i" * 3000}),
        typed("response.output_item.added", item={"type": "message"}),
        *(typed("response.output_text.delta", delta=f"response.completed {n}") for n in range(30)),
        COMPLETED,
    ]
)


def fed(data: bytes, *cuts: int) -> StreamTap:
    tap = StreamTap()
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        if start < end:
            tap.feed(data[start:end])
    return tap


def findings(tap: StreamTap) -> tuple[bool, bool, Usage | None]:
    tap.end()
    return tap.first_output, tap.terminal, tap.usage


class Report:
    """A tap as the kit's check wants it: its findings leave at the end."""

    def __init__(self) -> None:
        self._tap = StreamTap()

    def feed(self, data: bytes) -> bytes:
        self._tap.feed(data)
        return b""

    def close(self) -> bytes:
        return repr(findings(self._tap)).encode()


def test_a_chat_stream_tells_output_usage_and_end() -> None:
    assert findings(fed(CHAT)) == (True, True, Usage(3, 0, 0, 4))


def test_a_responses_stream_tells_usage_that_stands_far_before_its_end() -> None:
    assert findings(fed(RESPONSES)) == (True, True, Usage(5, 0, 0, 6))


@pytest.mark.parametrize("corpus", [CHAT[:900] + CHAT[-900:], RESPONSES[2800:4000] + RESPONSES[-7000:]])
def test_the_cuts_do_not_matter(corpus: bytes) -> None:
    assert_bytes_invariant(Report, corpus)


@given(st.lists(st.integers(1, len(RESPONSES) - 1), unique=True, max_size=12).map(sorted))
def test_cuts_of_a_long_stream_do_not_matter(cuts: list[int]) -> None:
    assert findings(fed(RESPONSES, *cuts)) == (True, True, Usage(5, 0, 0, 6))


@given(st.lists(st.integers(1, len(CHAT) - 1), unique=True, max_size=30).map(sorted))
def test_cuts_of_a_chat_stream_do_not_matter(cuts: list[int]) -> None:
    assert findings(fed(CHAT, *cuts)) == (True, True, Usage(3, 0, 0, 4))


def test_a_preamble_is_no_output_and_the_first_word_is() -> None:
    tap = StreamTap()
    tap.feed(b": OPENROUTER PROCESSING\n\n" + ROLE)
    assert not tap.first_output

    tap.feed(chunk({"content": "Hi"})[:-1])
    assert not tap.first_output

    tap.feed(b"\n")
    assert tap.first_output


def test_an_error_is_no_output() -> None:
    tap = fed(event({"error": {"message": "overloaded"}}))

    assert findings(tap) == (False, False, None)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_kind_of_line_end_is_read(end: bytes) -> None:
    data = event({"choices": [{"delta": {"content": "x"}}], "usage": USAGE}, end=end)

    assert findings(fed(data + b"data: [DONE]" + end * 2)) == (True, True, Usage(3, 0, 0, 4))


def test_a_type_that_stands_last_is_read() -> None:
    delta = event({"delta": "x", "type": "response.output_text.delta"})
    last = event(
        {"response": {"usage": {"input_tokens": 1, "output_tokens": 2}}, "type": "response.completed"}
    )

    assert findings(fed(delta + last)) == (True, True, Usage(1, 0, 0, 2))


@pytest.mark.parametrize(
    "last",
    [
        typed("response.failed", response={"error": {"code": "server_error"}}),
        typed("response.incomplete", response={}),
        typed("error", message="x"),
        typed("transcript.text.done", text="x"),
        typed("image_generation.completed", b64_json="x" * 9000),
    ],
)
def test_every_last_event_is_an_end(last: bytes) -> None:
    assert findings(fed(typed("response.output_text.delta", delta="x") + last))[1]


def test_a_server_that_sends_no_done_ends_with_a_finish_reason() -> None:
    last = event({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE})

    assert findings(fed(chunk({"content": "x"}) + last)) == (True, True, Usage(3, 0, 0, 4))


def test_a_stream_that_breaks_off_keeps_what_was_told() -> None:
    tap = fed(chunk({"content": "x"}) + event({"choices": [{"finish_reason": "stop"}], "usage": USAGE}))

    tap.fail(ConnectionResetError())

    assert (tap.terminal, tap.usage) == (False, Usage(3, 0, 0, 4))


@pytest.mark.parametrize("text", ["data: [DONE]", "\ndata: [DONE]\n", '"type":"response.completed"'])
def test_words_of_the_answer_are_no_end(text: str) -> None:
    stream = chunk({"content": text}) + typed("response.output_text.delta", delta=text)

    assert not findings(fed(stream))[1]


def test_usage_in_the_words_of_the_answer_is_not_believed() -> None:
    assert findings(fed(chunk({"content": '"usage":{"total_tokens":5}'})))[2] is None


def test_an_endless_event_counts_as_output_and_is_not_kept() -> None:
    tap = StreamTap()
    for _ in range(40):
        tap.feed(b"x" * 64 * 1024)

    assert tap.first_output
    assert sum(map(len, tap._pieces)) <= 2 * LONG_TAIL


def test_no_more_than_the_tail_is_kept() -> None:
    tap = StreamTap()
    for number in range(2000):
        tap.feed(chunk({"content": f"word {number}"}))

    assert sum(map(len, tap._pieces)) <= 2 * TAIL + 200


def test_a_final_event_longer_than_what_is_kept_still_tells_usage_at_its_end() -> None:
    last = typed(
        "response.completed",
        response={"output": "x" * 3_000_000, "usage": {"input_tokens": 1, "output_tokens": 1}},
    )
    stream = typed("response.output_text.delta", delta="x") + last
    cuts = range(1, len(stream), 100_000)

    assert findings(fed(stream, *cuts)) == findings(fed(stream)) == (True, True, Usage(1, 0, 0, 1))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"choices": []}, False),
        ({"choices": [{"delta": {"role": "assistant", "content": None, "tool_calls": []}}]}, False),
        ({"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}, True),
        ({"choices": [{"delta": {"refusal": "I"}}]}, True),
        ({"choices": [{"delta": {"reasoning_content": "hm"}}]}, True),
        ({"choices": [{"delta": {}}, {"delta": {"content": "x"}}]}, True),
        ({"choices": [{"text": ""}]}, False),
        ({"choices": [{"text": "x"}]}, True),
        ({"choices": [{"message": {"content": "x"}}]}, True),
        ({"choices": ["odd", {"delta": "odd"}]}, False),
        ({"type": "response.created"}, False),
        ({"type": "response.function_call_arguments.delta"}, True),
        ({"type": "response.output_item.done"}, True),
        ({"object": "thread.run.queued"}, False),
        ({"object": "thread.message.delta"}, True),
        ({"type": "image_generation.partial_image"}, True),
        ({"value": "x"}, True),
        ({"type": "error"}, False),
        ({"error": {"message": "x"}}, False),
    ],
    ids=str,
)
def test_output_is_told_from_preamble(message: dict[str, Any], expected: bool) -> None:
    assert has_output(message) is expected


@pytest.mark.shared
def test_every_recorded_stream_tells_its_last_usage(recordings: list[dict[str, Any]]) -> None:
    streams = [(r["id"], r["response"]["events"]) for r in recordings if "events" in r["response"]]
    wrong = []
    for name, events in streams:
        raw = [text.encode() for text in events]
        expected = last_told(raw)
        found = [findings(fed(b"".join(raw))), findings(fed_by(raw))]
        if found[0] != found[1] or found[0][2] != expected:
            wrong.append((name, found, expected))

    assert len(streams) > 300
    assert wrong == []


@pytest.mark.shared
def test_every_recorded_stream_ends_and_brings_output(recordings: list[dict[str, Any]]) -> None:
    streams = [r["response"]["events"] for r in recordings if "events" in r["response"]]
    found = [findings(fed_by([text.encode() for text in events])) for events in streams]
    endless = [events[-1] for events, (_, terminal, _) in zip(streams, found, strict=True) if not terminal]

    assert [output for output, _, _ in found].count(False) == 0
    # What has no end: two errors in mid-stream, and Writer's completions, which are bare words.
    assert all("error" in last or last.startswith('data: {"value"') for last in endless)


def fed_by(pieces: list[bytes]) -> StreamTap:
    tap = StreamTap()
    for piece in pieces:
        tap.feed(piece)
    return tap


def last_told(raw: list[bytes]) -> Usage | None:
    usage = None
    for each in raw:
        try:
            message = orjson.loads(event_data(each))
        except orjson.JSONDecodeError:
            continue
        places = (message, message.get("response") or {}, message.get("x_groq") or {})
        told = next((place["usage"] for place in places if place.get("usage")), None)
        usage = usage if told is None else read_usage(told)
    return usage


@pytest.mark.parametrize(
    ("last", "cut"),
    [
        (b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n', True),
        (b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', False),
        (b'data: {"error":{"message":"overloaded"}}\n\n', False),
        (b"data: [DONE]\n\n", False),
    ],
)
def test_a_stream_of_choices_without_its_end_is_cut(last: bytes, cut: bool) -> None:
    tap = fed(b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n' + last)
    tap.end()

    assert tap.cut is cut


def test_what_follows_the_last_choice_is_no_cut() -> None:
    tap = fed(chunk({"content": "x"}, usage=None) + event({"choices": [], "usage": USAGE}))
    tap.end()

    assert not tap.cut


def test_a_stream_of_unknown_shape_may_end_as_it_likes() -> None:
    tap = fed(b'data: {"type":"speech.audio.delta","audio":"x"}\n\n')
    tap.end()

    assert not tap.cut


@pytest.mark.parametrize(
    ("last", "failed"),
    [
        (b'data: {"error": {"message": "Busy."}}\n\n', True),
        (b'event: error\ndata: {"type":"error","message":"Busy."}\n\n', True),
        (
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"error"}],"error":{"code":502}}\n\n',
            True,
        ),
        (b'data: {"type":"response.failed","response":{}}\n\n', True),
        (b'data: {"type":"response.incomplete","response":{}}\n\n', False),
        (b'data: {"error":null,"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', False),
        (b"data: [DONE]\n\n", False),
    ],
)
def test_an_error_that_ends_a_stream_is_told_from_its_end(last, failed):
    tap = StreamTap()
    if b"response." in last:
        tap.feed(b'data: {"type":"response.output_text.delta","delta":"Hi"}\n\n')
    else:
        tap.feed(b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n')
    tap.feed(last)
    tap.end()

    assert tap.failed == failed


FORGED = (
    b'{"tools":[{"parameters":{"usage":{"input_tokens":0,"output_tokens":0,"total_tokens":0}}}],"usage":%b}'
)


def echoing(kind: bytes, usage: bytes) -> bytes:
    return b'event: %b\ndata: {"type":"%b","response":%b}\n\n' % (kind, kind, FORGED % usage)


def test_no_schema_of_a_tool_tells_usage_of_a_response() -> None:
    begun = echoing(b"response.created", b"null")
    text = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi"}\n\n'
    failed = StreamTap()
    failed.feed(begun + text + echoing(b"response.failed", b"null"))
    failed.end()
    left = StreamTap()
    left.feed(begun + text)
    left.fail(ConnectionAbortedError())
    whole = StreamTap()
    whole.feed(begun + text + echoing(b"response.completed", b'{"input_tokens":7,"output_tokens":2}'))
    whole.end()

    assert (failed.usage, left.usage) == (None, None)
    assert whole.usage == Usage(input=7, output=2)
