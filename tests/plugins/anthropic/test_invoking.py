"""Which invocations' answers are whole, in JSON and in frames."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.conftest import records

from llmproxy.plugin import EventStreamDecoder
from llmproxy_anthropic.frames import chunk_frame, exception_frame
from llmproxy_anthropic.invoking import INVOKED, as_base64


def streamed(reason):
    events = [
        {"type": "message_start", "message": {"stop_reason": None, "content": []}},
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}},
        {"type": "message_stop"},
    ]
    return b"".join(chunk_frame(orjson.dumps(each)) for each in events)


@given(st.binary(max_size=9), st.binary(min_size=4, max_size=12), st.binary(max_size=9))
def test_a_text_is_found_wherever_it_stands(before, text, after):
    encoded = base64.b64encode(before + text + after)

    assert as_base64(text)[len(before) % 3] in encoded


@pytest.mark.parametrize(
    ("reason", "kept"),
    [("end_turn", True), ("tool_use", True), ("stop_sequence", True), ("max_tokens", False), (None, False)],
)
def test_an_answer_is_kept_that_came_to_its_own_end(reason, kept):
    assert INVOKED.keeps(streamed(reason)) is kept
    assert INVOKED.keeps(orjson.dumps({"type": "message", "stop_reason": reason})) is kept


def test_a_stream_that_ended_in_an_exception_is_not_kept():
    assert not INVOKED.keeps(streamed("end_turn") + exception_frame("throttlingException", "M"))


def test_recorded_streams_are_kept_by_their_reason():
    found = 0
    for record in records("bedrock"):
        frames = [base64.b64decode(each) for each in record["response"].get("frames") or ()]
        if record["dialect"] != "bedrock.invoke_stream" or "claude" not in record["model"] or not frames:
            continue
        messages = EventStreamDecoder().feed(b"".join(frames))
        told = [base64.b64decode(each.json()["bytes"]) for each in messages]
        good = any(b'"stop_reason":"%b"' % reason in b"".join(told) for reason in (b"end_turn", b"tool_use"))
        assert INVOKED.keeps(b"".join(frames)) is good
        found += 1

    assert found >= 5


def test_a_stream_and_a_whole_answer_are_kept_apart():
    assert INVOKED.verbs == ()
    assert INVOKED.kind == "messages"
