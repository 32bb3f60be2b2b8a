from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.conftest import whole

from llmproxy.plugin import Usage
from llmproxy_gemini.taps import TAIL, StreamTap, has_output
from llmproxy_gemini.usage import read_usage

from .conftest import streamed


def event(text: str, more: bytes = b"", usage: bytes = b"") -> bytes:
    candidate = b'{"content":{"parts":[{"text":%b}],"role":"model"}%b}' % (orjson.dumps(text), more)
    return b'data: {"candidates": [%b]%b}\r\n\r\n' % (candidate, usage)


USAGE = b',"usageMetadata": {"promptTokenCount": 3,"candidatesTokenCount": %d}'
STREAM = event("") + event("Hi", usage=USAGE % 1) + event("", b',"finishReason": "STOP"', USAGE % 2)


def tapped(tap: StreamTap, *pieces: bytes) -> StreamTap:
    for piece in pieces:
        tap.feed(piece)
    tap.end()
    return tap


def test_the_last_usage_counts() -> None:
    tap = tapped(StreamTap(), STREAM)

    assert tap.usage == Usage(3, 0, 0, 2, 0)
    assert tap.terminal
    assert tap.first_output


def test_output_is_the_first_text_that_is_not_empty() -> None:
    tap = StreamTap()
    tap.feed(event(""))
    assert not tap.first_output

    tap.feed(event("H")[:-1])
    assert not tap.first_output
    tap.feed(b"\n")
    assert tap.first_output


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_cuts_change_nothing(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    tap = tapped(StreamTap(), *(STREAM[a:b] for a, b in pairwise(places)))

    assert (tap.usage, tap.terminal, tap.first_output) == (Usage(3, 0, 0, 2, 0), True, True)


def test_a_stream_without_a_reason_to_end_is_not_whole() -> None:
    assert not tapped(StreamTap(), event("Hi") * 3).terminal


def test_a_blocked_prompt_and_an_error_are_ends() -> None:
    assert tapped(StreamTap(), b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\n\n').terminal
    assert tapped(StreamTap(), event("Hi") + b'data: {"error": {"code": 500}}\n\n').terminal


def test_words_of_the_answer_end_nothing() -> None:
    assert not tapped(StreamTap(), event('"finishReason": "STOP", {"error"')).terminal


def test_a_reason_before_a_long_tail_counts() -> None:
    last = event(
        "", b',"finishReason": "STOP","groundingMetadata": {"x": "%b"}' % (b"y" * 9 * TAIL), USAGE % 7
    )
    pieces = [last[at : at + 1000] for at in range(0, len(last), 1000)]

    tap = tapped(StreamTap(), *pieces)

    assert tap.terminal
    assert tap.usage == Usage(3, 0, 0, 7, 0)


def test_usage_before_a_long_tail_counts() -> None:
    tap = tapped(StreamTap(), event("Hi", usage=USAGE % 7), *[event("x" * TAIL)] * 5)

    assert tap.usage == Usage(3, 0, 0, 7, 0)


def test_a_stream_that_broke_off_tells_what_it_had_used() -> None:
    tap = StreamTap()
    tap.feed(event("Hi", usage=USAGE % 7))
    tap.fail(ConnectionError())

    assert tap.usage == Usage(3, 0, 0, 7, 0)
    assert not tap.terminal


@pytest.mark.parametrize(("cut", "terminal"), [(0, True), (2, False)])
def test_an_array_is_whole_once_it_is_closed(cut: int, terminal: bool) -> None:
    array = b'[{"candidates": [{"finishReason": "STOP"}],"usageMetadata": {"promptTokenCount": 3}}\n]\n'

    tap = tapped(StreamTap(array=True), array[: len(array) - cut])

    assert tap.terminal is terminal
    assert tap.usage == Usage(3, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"candidates": None},
        {"candidates": [1, {"content": 1}, {"content": {"parts": [1, {"text": "", "thought": True}]}}]},
    ],
)
def test_what_is_no_output(chunk: dict[str, Any]) -> None:
    assert not has_output(chunk)


def test_recorded_streams_end_and_tell_their_usage(recordings: list[dict[str, Any]]) -> None:
    for record, data in streamed(recordings):
        tap = tapped(StreamTap(), data[: len(data) // 3], data[len(data) // 3 :])

        assert tap.terminal, record["id"]
        assert tap.first_output
        assert tap.usage == read_usage(orjson.loads(data.rpartition(b"data: ")[2])["usageMetadata"])


def test_recorded_arrays_end_and_tell_their_usage(recordings: list[dict[str, Any]]) -> None:
    for record, data in whole(recordings, "gemini.stream"):
        tap = tapped(StreamTap(array=True), data)

        assert tap.terminal, record["id"]
        assert tap.usage == read_usage(orjson.loads(data)[-1]["usageMetadata"])


def test_an_answer_without_a_reason_for_its_end_is_cut() -> None:
    assert tapped(StreamTap(), event("Half")).cut
    assert not tapped(StreamTap(), event("Half"), b'data: {"error": {"code": 503}}\r\n\r\n').cut
    assert not tapped(StreamTap(), STREAM).cut


def test_an_error_that_ends_a_stream_is_told_from_its_end():
    tap = StreamTap()
    tap.feed(b'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}\n\n')
    tap.feed(b'data: {"error":{"code":503}}\n\n')
    tap.end()

    assert (tap.failed, tap.terminal) == (True, True)


def test_an_arrays_output_begins_with_its_first_part():
    failing, saying = StreamTap(array=True), StreamTap(array=True)
    failing.feed(b'[{"error": {"code": 503}}]')
    failing.end()
    saying.feed(b'[{"candidates": [{"content": {"par')

    assert (failing.first_output, failing.failed, saying.first_output) == (False, True, False)

    saying.feed(b'ts": [{"text": "Hi"}]}}]}')

    assert saying.first_output
