from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Usage
from llmproxy_ollama import taps
from llmproxy_ollama.taps import LineTap, has_output

from .conftest import STREAM, line, piece, streamed


def tapped(*pieces):
    tap = LineTap()
    for each in pieces:
        tap.feed(each)
    tap.end()
    return tap


def test_the_last_line_tells_the_end_and_the_counts():
    tap = tapped(STREAM)

    assert tap.usage == Usage(5, 0, 0, 7)
    assert (tap.first_output, tap.terminal, tap.cut, tap.failed) == (True, True, False, False)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_cuts_change_nothing(cuts):
    places = [0, *sorted(cuts), len(STREAM)]
    tap = tapped(*(STREAM[a:b] for a, b in pairwise(places)))

    assert (tap.usage, tap.terminal, tap.cut, tap.first_output) == (Usage(5, 0, 0, 7), True, False, True)


def test_output_is_the_first_line_that_brings_something():
    tap = LineTap()
    tap.feed(piece(""))
    assert not tap.first_output

    tap.feed(piece("H")[:-1])
    assert not tap.first_output
    tap.feed(b"\n")
    assert tap.first_output


@pytest.mark.parametrize("cut", [1, 2, 20])
def test_a_last_line_counts_if_it_can_be_read(cut):
    tap = tapped(STREAM[:-cut])

    assert tap.terminal is (cut == 1)
    assert tap.cut is (cut > 1)


def test_words_of_the_answer_end_nothing():
    tap = tapped(piece('"done":true,"eval_count":9'), piece(tool_calls=[{"function": {"done": True}}]))

    assert (tap.terminal, tap.cut, tap.usage) == (False, True, None)


def test_an_error_is_an_end_and_a_failure():
    tap = tapped(piece("Hi"), line(error="out of memory"))

    assert (tap.failed, tap.terminal, tap.cut) == (True, True, False)


def test_blank_lines_are_passed_over():
    tap = tapped(STREAM, b"\n", b"\r\n")

    assert tap.terminal
    assert tapped(STREAM[:-1], b"\n").terminal


def test_a_stream_that_broke_off_tells_what_it_had_used():
    tap = LineTap()
    tap.feed(STREAM)
    tap.fail(ConnectionError())

    assert tap.usage == Usage(5, 0, 0, 7)


def test_a_line_without_an_end_is_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(taps, "_MOST", 100)
    tap = LineTap()
    for _ in range(50):
        tap.feed(b"x" * 10)

    assert sum(map(len, tap._pieces)) <= 100
    tap.end()
    assert not tap.terminal


def test_a_line_that_outgrows_its_bound_is_output(monkeypatch):
    monkeypatch.setattr(taps, "_MAX_LINE", 100)

    assert tapped(b"x" * 101).first_output


@pytest.mark.parametrize(
    "told", [{}, {"message": 1}, {"message": {"role": "assistant", "content": ""}}, {"response": ""}]
)
def test_what_is_no_output(told):
    assert not has_output(told)


@pytest.mark.parametrize("told", [{"response": "x"}, {"thinking": "x"}, {"message": {"tool_calls": [1]}}])
def test_what_is_output(told):
    assert has_output(told)


def test_recorded_streams_are_whole_and_counted(recordings):
    for record, data in streamed(recordings):
        told = orjson.loads(record["response"]["lines"][-1])
        tap = tapped(*(data[at : at + 333] for at in range(0, len(data), 333)))

        assert tap.usage == Usage(told.get("prompt_eval_count", 0), 0, 0, told["eval_count"]), record["id"]
        assert tap.terminal
