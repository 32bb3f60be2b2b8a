from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.ndjson import LineFramer
from llmproxy.sse import EventTooLarge

from .recorded import needs_recordings, records

STREAMS = st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b'{"a":1}', b"x", b" "]), max_size=20).map(
    b"".join
)
CUTS = st.lists(st.integers(0, 80), max_size=6)


def frame(chunks):
    framer = LineFramer()
    lines = [line for chunk in chunks for line in framer.feed(chunk)]
    return lines, framer.close()


def cut(stream, places):
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@given(STREAMS, CUTS)
def test_lines_do_not_depend_on_how_a_stream_arrives(stream, places):
    whole = frame([stream])

    assert frame(cut(stream, places)) == whole
    assert frame([bytes([byte]) for byte in stream]) == whole


@given(STREAMS)
def test_lines_are_those_between_the_line_ends(stream):
    *ended, rest = stream.split(b"\n")
    lines, left = frame([stream])

    assert lines == [line for line in (each.removesuffix(b"\r") for each in ended) if line]
    assert left == rest


@given(
    st.lists(st.recursive(st.none() | st.integers(-9, 9) | st.text(), st.lists, max_leaves=4), max_size=5),
    CUTS,
)
def test_what_was_written_is_read(values, places):
    stream = b"".join(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE) for value in values)
    lines, rest = frame(cut(stream, places))

    assert [orjson.loads(line) for line in lines] == values
    assert rest == b""


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_over_the_bound_is_refused_however_it_arrives(size, end):
    stream = b"x" * 60 + end
    framer = LineFramer(max_line=50)

    with pytest.raises(EventTooLarge, match="longer than 50 bytes"):
        [framer.feed(stream[at : at + size]) for at in range(0, len(stream), size)]


def test_a_line_of_the_bound_passes():
    framer = LineFramer(max_line=3)

    assert framer.feed(b"abc\nab") == [b"abc"]
    assert framer.feed(b"c\n") == [b"abc"]


@needs_recordings
@pytest.mark.parametrize("size", [1, 17, 4096])
def test_recorded_streams_are_cut_into_their_lines(size):
    streams = [record["response"]["lines"] for record in records() if record["response"].get("lines")]

    assert streams
    for lines in streams:
        stream = "".join(line if line.endswith("\n") else line + "\n" for line in lines).encode()
        found, rest = frame([stream[at : at + size] for at in range(0, len(stream), size)])
        assert [orjson.loads(line) for line in found] == [
            orjson.loads(line) for line in lines if line.strip()
        ]
        assert rest == b""
