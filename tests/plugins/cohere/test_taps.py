from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Usage
from llmproxy_cohere.taps import LineTap, StreamTap

from .conftest import STREAM, event, streamed

FAILED = event("message-end", delta={"error": "Oh", "finish_reason": "ERROR"})
LINES = (
    b'{"is_finished":false,"event_type":"stream-start"}\n'
    b'{"is_finished":false,"event_type":"text-generation","text":"Hi"}\n'
    b'{"is_finished":true,"event_type":"stream-end","response":{"text":"Hi","meta":{"billed_units":'
    b'{"input_tokens":7,"output_tokens":2}}},"finish_reason":"COMPLETE"}\n'
)


def fed(tap: Any, *pieces: bytes) -> Any:
    for piece in pieces:
        tap.feed(piece)
    tap.end()
    return tap


def test_a_whole_stream_tells_its_bill() -> None:
    tap = fed(StreamTap(), STREAM)

    assert (tap.first_output, tap.terminal, tap.cut, tap.failed) == (True, True, False, False)
    assert tap.usage == Usage(2, 0, 0, 1, 0)


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_what_is_found_does_not_depend_on_the_cuts(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(places)]
    tap = fed(StreamTap(), *pieces)

    assert (tap.first_output, tap.terminal, tap.cut, tap.usage) == (True, True, False, Usage(2, 0, 0, 1, 0))


def test_output_is_what_an_answer_is_made_of() -> None:
    tap = StreamTap()
    tap.feed(event("message-start", id="a"))

    assert not tap.first_output
    tap.feed(event("tool-plan-delta", delta={"message": {"tool_plan": "I"}}))
    assert tap.first_output


@given(st.integers(0, STREAM.index(b"event: message-end")))
def test_a_stream_that_was_cut_is_not_whole(end: int) -> None:
    tap = fed(StreamTap(), STREAM[:end])

    assert not tap.terminal
    assert tap.usage is None


def test_the_end_counts_once_its_event_is_whole() -> None:
    tap = fed(StreamTap(), STREAM[: STREAM.index(b"data: [DONE]") - 2])

    assert (tap.terminal, tap.cut) == (False, True)


def test_an_error_is_an_end() -> None:
    tap = fed(StreamTap(), STREAM[: STREAM.index(b"event: message-end")] + FAILED)

    assert (tap.terminal, tap.failed, tap.cut) == (True, True, False)


def test_words_inside_a_text_are_no_end() -> None:
    quoted = event("content-delta", index=0, delta={"message": {"content": {"text": '"type":"message-end"'}}})
    tap = fed(StreamTap(), quoted)

    assert (tap.terminal, tap.cut) == (False, True)


def test_a_long_stream_is_not_kept() -> None:
    tap = StreamTap()
    for _ in range(2000):
        tap.feed(event("content-delta", index=0, delta={"message": {"content": {"text": "word " * 9}}}))

    assert sum(map(len, tap._pieces)) < 64 * 1024
    assert fed(tap, STREAM).usage == Usage(2, 0, 0, 1, 0)


def test_a_break_leaves_what_was_told() -> None:
    tap = StreamTap()
    tap.feed(STREAM)
    tap.fail(ConnectionResetError())

    assert tap.usage == Usage(2, 0, 0, 1, 0)


@pytest.mark.parametrize("cut", [0, 60, 130, len(LINES)])
def test_the_first_apis_last_line_tells_its_bill(cut: int) -> None:
    tap = fed(LineTap(), LINES[:cut], LINES[cut:])

    assert (tap.first_output, tap.terminal, tap.cut, tap.usage) == (True, True, False, Usage(7, 0, 0, 2, 0))


def test_lines_that_were_cut_are_not_whole() -> None:
    tap = fed(LineTap(), LINES[:-9])

    assert (tap.terminal, tap.cut, tap.usage) == (False, True, None)


def test_golden_every_recorded_stream_is_whole(recordings: list[dict[str, Any]]) -> None:
    for record, data in streamed(recordings):
        tap = fed(StreamTap(), data[:99], data[99:])
        assert (tap.terminal, tap.cut, tap.usage is not None) == (True, False, True), record["id"]
    for record in recordings:
        if "lines" in record["response"]:
            tap = fed(LineTap(), "".join(record["response"]["lines"]).encode())
            assert (tap.terminal, tap.cut, tap.usage is not None) == (True, False, True), record["id"]
