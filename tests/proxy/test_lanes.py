from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.body import ENDED, FAILED, HOLD_LIMIT, Body
from llmproxy.lanes import Framed, FramedLines, Lane, as_far_as_it_goes, flush, run_whole
from llmproxy.sse import Event

PARTS = [b"\n", b"\r", b"\r\n", b"\n\n", b"data: a", b"data", b": c", b"x", b"\xef\xbb\xbf", b"id:7"]
STREAMS = st.lists(st.sampled_from(PARTS), max_size=20).map(b"".join)
CUTS = st.lists(st.integers(0, 100), max_size=6)


def cut(data, places):
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


class Untouched:
    """A transform that looks at each event's meaning and changes nothing."""

    def feed(self, event):
        _ = event.data, event.dispatches
        return [event]

    def close(self):
        return []


class Tagged(Untouched):
    """Adds its tag to each event, and says goodbye."""

    def __init__(self, tag):
        self.tag = tag

    def feed(self, event):
        return [event.replace(data=event.data + self.tag)]

    def close(self):
        return [Event(b"bye" + self.tag)]


class Held(Untouched):
    """Holds everything back until the end."""

    def __init__(self):
        self.events = []

    def feed(self, event):
        self.events.append(event)
        return []

    def close(self):
        return self.events


class Sink:
    def __init__(self):
        self.data = b""
        self.ends = []

    def feed(self, data):
        self.data += data

    def end(self):
        self.ends.append(None)

    def fail(self, error):
        self.ends.append(error)


@given(STREAMS, CUTS, st.integers(0, 2))
def test_untouched_events_leave_byte_for_byte(stream, cuts, transforms):
    framed = Framed([Untouched()] * transforms)
    out = b"".join(framed.feed(piece) for piece in cut(stream, cuts)) + framed.close()

    assert out == stream


@given(STREAMS, CUTS)
def test_what_is_held_back_leaves_byte_for_byte_at_the_end(stream, cuts):
    framed = Framed([Held(), Untouched()])
    early = b"".join(framed.feed(piece) for piece in cut(stream, cuts))

    assert early == b""
    assert framed.close() == stream


def test_the_first_transform_sees_each_event_first():
    framed = Framed([Tagged(b"1"), Tagged(b"2")])

    assert framed.feed(b"data: a\n\n") == b"data: a12\n\n"
    assert framed.close() == b"data: bye12\n\ndata: bye2\n\n"


def test_an_unfinished_last_event_does_not_slip_past_the_transforms():
    framed = Framed([Tagged(b"!")])

    assert framed.feed(b"data: a") == b""
    assert framed.close() == b"data: a!\n\ndata: bye!\n\n"


def test_an_event_without_an_end_is_not_gathered_for_ever():
    framed = Framed([], max_event=10)

    with pytest.raises(ValueError, match="longer than 10 bytes"):
        framed.feed(b"data: " + b"a" * 10)


class Doubling:
    """Gives each byte twice, one piece late."""

    def __init__(self):
        self.late = b""

    def feed(self, data):
        out, self.late = self.late, data + data
        return out

    def close(self):
        return self.late


@given(st.binary(max_size=20), CUTS, st.integers(0, 3))
def test_a_chain_passes_on_what_each_machine_held_back(data, cuts, machines):
    chain = [Doubling() for _ in range(machines)]
    source = Body()
    lane, sink = Lane(source, chain), Sink()
    lane.attach(sink)
    for piece in cut(data, cuts):
        source.feed(piece)
    source.end()
    expected = b"".join(bytes([byte]) * 2**machines for byte in data)

    assert sorted(sink.data) == sorted(expected)
    assert sink.ends == [None]
    assert len(run_whole([Doubling() for _ in range(machines)], data)) == len(expected)


def test_an_empty_chain_flushes_to_nothing():
    assert flush([]) == b""
    assert run_whole([], b"as it is") == b"as it is"


class Broken:
    def __init__(self, at="feed"):
        self.at = at

    def feed(self, data):
        if self.at == "feed" and data == b"bad":
            raise LookupError("transform")
        return data

    def close(self):
        if self.at == "close":
            raise LookupError("transform")
        return b""


class Source:
    def __init__(self):
        self.said = []
        self.body = Body(
            lambda: self.said.append("pause"), lambda: self.said.append("resume"), self.abandoned
        )

    def abandoned(self):
        self.said.append("abandon")
        self.body.fail(ConnectionAbortedError())


def test_a_machine_that_fails_ends_the_stream_and_gives_the_source_up():
    source, sink, later = Source(), Sink(), Sink()
    lane = Lane(source.body, [Broken()])
    lane.attach(sink)
    source.body.feed(b"good")
    source.body.feed(b"bad")
    source.body.feed(b"more")
    lane.attach(later)

    assert sink.data == b"good"
    assert [type(error) for error in sink.ends + later.ends] == [LookupError, LookupError]
    assert source.said == ["abandon"]


def test_a_machine_that_fails_on_what_was_held_breaks_the_lane_before_anybody_listens():
    source, watch, sink = Source(), Sink(), Sink()
    source.body.observe(watch)
    source.body.feed(b"bad")
    lane = Lane(source.body, [Broken()])
    lane.attach(sink)

    assert lane.state == FAILED
    assert isinstance(sink.ends[0], LookupError)
    assert [type(error) for error in watch.ends] == [ConnectionAbortedError]
    assert source.said == ["abandon"]


def test_a_machine_that_fails_at_the_end_makes_no_clean_end():
    source, sink = Source(), Sink()
    Lane(source.body, [Broken("close")]).attach(sink)
    source.body.end()

    assert isinstance(sink.ends[0], LookupError)
    assert source.said == []


def test_an_upstream_that_breaks_off_flushes_nothing():
    source, sink, error = Source(), Sink(), ConnectionResetError()
    Lane(source.body, [Framed([Held()])]).attach(sink)
    source.body.feed(b"data: a\n\n")
    source.body.fail(error)

    assert (sink.data, sink.ends) == (b"", [error])


def test_a_caller_that_rests_makes_the_upstream_rest():
    source, sink = Source(), Sink()
    lane = Lane(source.body, [])
    lane.attach(sink)
    lane.pause(sink)
    lane.resume(sink)

    assert source.said == ["pause", "resume"]


def test_a_lane_that_nobody_reads_stops_its_source():
    source = Source()
    lane = Lane(source.body, [])
    source.body.feed(b"x" * (HOLD_LIMIT + 1))

    assert source.said == ["pause"]

    lane.attach(Sink())

    assert source.said == ["pause", "resume"]


def test_a_caller_that_leaves_makes_the_lane_leave():
    source, sink = Source(), Sink()
    lane = Lane(source.body, [])
    lane.attach(sink)
    lane.detach(sink)

    assert source.said == ["abandon"]


def test_a_lane_that_is_given_up_does_not_stop_the_sources_other_sinks():
    source, other, sink = Source(), Sink(), Sink()
    lane = Lane(source.body, [])
    source.body.attach(other)
    lane.attach(sink)
    lane.detach(sink)
    source.body.feed(b"a")
    source.body.end()

    assert source.said == []
    assert other.data == b"a"
    assert source.body.state == ENDED


def test_a_stream_that_breaks_off_gives_what_it_says_until_then():
    class Shouting:
        def feed(self, data):
            if b"bad" in data:
                raise ValueError
            return data.upper()

        def close(self):
            return b""

    class Heard:
        said, error = b"", None

        def feed(self, data):
            self.said += data

        def end(self):
            raise AssertionError

        def fail(self, error):
            self.error = error

    heard = Heard()
    as_far_as_it_goes([Shouting()], b"one\n\ntwo\n\nbad\n\nthree\n\n").attach(heard)

    assert heard.said == b"ONE\n\nTWO\n\n"
    assert isinstance(heard.error, ValueError)


LINES = b'{"a":1}\n{"b":2}\r\n\n{"c":3}'


@given(CUTS)
def test_lines_pass_transforms_as_events_wherever_they_are_cut(places):
    machine = FramedLines(Tagged(b"!"))
    out = b"".join(machine.feed(piece) for piece in cut(LINES, places)) + machine.close()

    assert out == b'{"a":1}!\n{"b":2}!\n{"c":3}!\nbye!\n'


def test_lines_that_were_held_leave_at_the_end():
    assert run_whole([FramedLines(Held())], LINES) == b'{"a":1}\n{"b":2}\n{"c":3}\n'
