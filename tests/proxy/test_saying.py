"""What answers say."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import EventHeader, EventStreamMessage, said


def test_a_streams_pieces_are_joined_field_by_field() -> None:
    events = [
        {"choices": [{"index": n, "delta": {"content": text}}]} for n, text in [(0, "a"), (1, "x"), (0, "b")]
    ]
    data = b"".join(b"data: %b\n\n" % orjson.dumps(event) for event in events) + b"data: [DONE]\n\n"

    assert said(data, streamed=True) == {
        "choices[0].delta.content": "ab",
        "choices[1].delta.content": "x",
    }


def test_events_are_told_by_their_data() -> None:
    assert said(b": ping\nevent: x\ndata: 1\n\ndata:two\r\n\r\n", streamed=True) == {"data": "two"}


def test_names_and_ids_are_not_said() -> None:
    answer = {"id": "chatcmpl-1", "model": "m", "delta": {"text": "a", "type": "text_delta"}}

    assert said(orjson.dumps(answer), streamed=False) == {"delta.text": "a"}


def test_what_is_no_json_says_nothing() -> None:
    assert said(b"<html>", streamed=False) == {}


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_can_be_read(data: bytes, streamed: bool) -> None:
    assert all(isinstance(text, str) for text in said(data, streamed=streamed).values())


def test_lines_of_json_are_read_as_events_are() -> None:
    lines = b'{"message":{"content":"a"},"done":false}\n{"message":{"content":"b"},"done":true}\n'

    assert said(lines, streamed=True) == {"message.content": "ab"}


def test_what_frames_of_aws_tell_is_joined_likewise() -> None:
    def frame(told: object) -> bytes:
        headers = (EventHeader(":event-type", "contentBlockDelta"), EventHeader(":message-type", "event"))
        return EventStreamMessage(orjson.dumps(told), headers).encode()

    stream = b"".join(
        frame({"contentBlockIndex": 0, "delta": {"text": text}, "p": "abc"}) for text in ("Hel", "lo")
    )
    stream += frame({"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{}"}}})

    assert list(said(stream, streamed=True).values()) == ["Hello", "{}"]
    assert said(b"\0no frame", streamed=True) == {}
