"""A streamed message in Bedrock's frames, read and written; recorded ones too."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.conftest import records

from llmproxy.canonical import Collector, Failed, Text, TruncatedStream, events_of
from llmproxy.plugin import EventStreamDecoder, EventTooLarge
from llmproxy_anthropic.answers import decode_answer
from llmproxy_anthropic.bedrock import read_exception
from llmproxy_anthropic.frames import (
    METRICS,
    FrameDecoder,
    FrameEncoder,
    FrameTap,
    chunk_frame,
    event_in,
    exception_frame,
)
from llmproxy_anthropic.streams import MessageDecoder
from llmproxy_anthropic.telling import MessageEncoder

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 7},
}


def decoder():
    return FrameDecoder(MessageDecoder(), read_exception)


def told():
    """Return a message as a stream of frames."""
    encoder = FrameEncoder(MessageEncoder("claude", "msg_1", 0))
    answer = decode_answer(orjson.dumps(MESSAGE))
    frames = [frame for event in events_of(answer) for frame in encoder.feed(event)]
    return b"".join([*frames, *encoder.close()])


def read(data):
    machine, collector = decoder(), Collector()
    for event in [*machine.feed(data), *machine.close()]:
        collector.feed(event)
    return collector


@pytest.fixture(scope="session")
def recorded():
    """Give every recorded stream of a message that Bedrock was asked for natively."""
    found = []
    for record in records("bedrock"):
        frames = [base64.b64decode(each) for each in record["response"].get("frames") or ()]
        if record["dialect"] == "bedrock.invoke_stream" and "claude" in record["model"] and frames:
            first = event_in(EventStreamDecoder().feed(frames[0])[0])
            if first.get("type") == "message_start":
                found.append(b"".join(frames))
    return found


def test_what_is_written_is_read_as_it_was():
    assert read(told()).answer == decode_answer(orjson.dumps(MESSAGE))


def test_the_last_chunk_tells_what_was_used():
    last = event_in(EventStreamDecoder().feed(told())[-1])

    assert last == {"type": "message_stop", METRICS: {"inputTokenCount": 5, "outputTokenCount": 7}}


def test_recorded_streams_are_read_and_wherever_they_are_cut_alike(recorded):
    assert len(recorded) >= 5
    for data in recorded:
        answer = read(data).answer
        assert answer.choices[0].finish
        assert answer.usage is not None
        tap = FrameTap()
        tap.feed(data)
        tap.end()
        assert (tap.first_output, tap.terminal, tap.cut) == (True, True, False)
        assert tap.usage is not None
        assert tap.usage.input == answer.usage.input


@given(st.data())
def test_any_chunking_gives_the_same(data):
    whole, cuts = told(), data.draw(st.lists(st.integers(0, len(told())), max_size=8).map(sorted))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    machine, tap = decoder(), FrameTap()
    events = []
    for piece in pieces:
        events += machine.feed(piece)
        tap.feed(piece)
    tap.end()

    assert [*events, *machine.close()] == [*decoder().feed(whole)]
    assert (tap.terminal, tap.usage.output, tap.usage.input) == (True, 7, 5)


@pytest.mark.parametrize("end", [0, 10, -1, -100])
def test_a_stream_that_was_cut_has_no_end(end):
    machine = decoder()
    machine.feed(told()[:end])

    with pytest.raises(TruncatedStream):
        machine.close()


def test_a_cut_stream_is_told_by_the_tap():
    tap = FrameTap()
    tap.feed(told()[:-30])
    tap.end()

    assert (tap.first_output, tap.terminal, tap.cut) == (True, False, True)


def test_an_exception_ends_the_stream():
    first = EventStreamDecoder().feed(told())[0]
    machine = decoder()
    events = machine.feed(
        first.encode() + exception_frame("throttlingException", "Too fast.") + first.encode()
    )

    assert isinstance(events[-1], Failed)
    assert (events[-1].error.kind, events[-1].error.message) == ("rate_limit", "Too fast.")
    assert machine.close() == []


def test_an_error_of_the_stream_is_an_exception_to_the_caller():
    class Broken:
        def feed(self, event):
            return [b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"M"}}\n\n']

        def close(self):
            return []

    (message,) = EventStreamDecoder().feed(b"".join(FrameEncoder(Broken()).feed(None)))

    assert message.exception_type == "modelStreamErrorException"
    assert message.json() == {"message": "M"}


@given(st.binary(max_size=200))
def test_what_is_no_stream_is_refused_and_never_whole(data):
    machine, tap = decoder(), FrameTap()
    tap.feed(data)
    tap.end()
    assert not tap.terminal
    try:
        machine.feed(data)
    except (ValueError, EventTooLarge):
        return
    with pytest.raises((TruncatedStream, ValueError)):
        machine.close()


@pytest.mark.parametrize("payload", [b"{}", b"5", b'{"bytes": 5}', b'{"bytes": "!"}'])
def test_a_chunk_without_an_event_is_refused(payload):
    (message,) = EventStreamDecoder().feed(chunk_frame(b"{}"))
    broken = type(message)(payload, message.headers)

    with pytest.raises(ValueError, match="holds no event"):
        event_in(broken)


def test_text_may_be_of_any_script():
    text = "日本語 🙂"
    message = {**MESSAGE, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
    encoder = FrameEncoder(MessageEncoder("claude", "msg_1", 0))
    answer = decode_answer(orjson.dumps(message))
    data = b"".join(frame for event in events_of(answer) for frame in encoder.feed(event))

    assert read(data + b"".join(encoder.close())).answer.choices[0].content == (Text(text=text),)
