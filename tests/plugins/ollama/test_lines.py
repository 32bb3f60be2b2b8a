from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    BlockEnded,
    BlockStarted,
    Collector,
    Counted,
    Delta,
    Failed,
    Finished,
    Reasoning,
    Started,
    Text,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import Usage
from llmproxy.testing import assert_bytes_invariant
from llmproxy_ollama.answers import read_answer
from llmproxy_ollama.lines import LineDecoder

from .conftest import STREAM, last, line, piece, streamed


def events(*pieces):
    decoder = LineDecoder()
    told = [event for data in pieces for event in decoder.feed(data)]
    return [*told, *decoder.close()]


class Report:
    """A decoder as the kit's check wants it: its events leave as text."""

    def __init__(self) -> None:
        self._decoder = LineDecoder()

    def feed(self, data: bytes) -> bytes:
        return "".join(map(repr, self._decoder.feed(data))).encode()

    def close(self) -> bytes:
        return "".join(map(repr, self._decoder.close())).encode()


def test_a_stream_is_told_block_by_block():
    call = ToolCall(id="call_1", name="look", arguments="")

    assert events(STREAM) == [
        Started("", "m", 1786082894),
        BlockStarted(0, Reasoning()),
        Delta(0, "hm"),
        BlockEnded(0),
        BlockStarted(1, Text(text="")),
        Delta(1, "Grüße "),
        Delta(1, "✓"),
        BlockEnded(1),
        BlockStarted(2, call),
        Delta(2, '{"city":"Rome"}'),
        BlockEnded(2),
        Finished("tool_calls", None, "stop"),
        Counted(Usage(5, 0, 0, 7)),
    ]


def test_the_cuts_do_not_matter():
    assert_bytes_invariant(Report, STREAM)


def test_the_last_lines_end_may_be_missing():
    assert events(STREAM[:-1]) == events(STREAM)


@pytest.mark.parametrize("data", [b"", piece("Hi"), STREAM[:-2], STREAM[:-60]])
def test_a_stream_without_its_last_line_is_not_whole(data):
    with pytest.raises(TruncatedStream):
        events(data)


def test_an_error_ends_it():
    told = events(piece("Hi") + line(error="model runner has stopped") + piece("never"))

    assert isinstance(told[-1], Failed)
    assert told[-1].error.message == "model runner has stopped"
    assert told[-1].error.status == 500


def test_what_comes_after_the_end_is_not_told():
    assert events(STREAM + piece("more")) == events(STREAM)


def test_log_probabilities_stand_with_their_text():
    scored = line(message={"content": "Hi"}, logprobs=[{"token": "Hi", "logprob": -1.0}], done=False)
    (delta,) = (event for event in events(scored + last()) if isinstance(event, Delta))

    assert delta.logprobs["content"][0]["token"] == "Hi"


@pytest.mark.parametrize(
    "data",
    [
        b"[]\n",
        b"no json\n",
        b'{"x":1}\n',
        line(message={"tool_calls": [{}]}),
        line(message={"tool_calls": [1]}),
    ],
)
def test_what_is_no_line_of_it_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        LineDecoder().feed(data)


@given(st.binary(max_size=60), st.integers(0, len(STREAM)))
def test_spoilt_bytes_never_end_as_complete(junk, at):
    """What is put into a stream's middle is told as broken, or is a line that changes nothing of the end."""
    try:
        told = events(STREAM[:at] + junk)
    except ValueError:
        return
    assert isinstance(told[-1], Failed | Counted | Finished)


def test_recorded_streams_say_what_their_lines_say(recordings):
    for record, data in streamed(recordings):
        lines = [orjson.loads(each) for each in record["response"]["lines"]]
        collector = Collector()
        for event in events(*(data[at : at + 77] for at in range(0, len(data), 77))):
            collector.feed(event)
        answer = collector.answer
        said = "".join(each.get("response", each.get("message", {}).get("content", "")) for each in lines)

        assert answer.choices[0].content == (Text(text=said),), record["id"]
        assert answer.choices[0].finish == "stop"
        assert answer.usage == read_answer(lines[-1]).usage
