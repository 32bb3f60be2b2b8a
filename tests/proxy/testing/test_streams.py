import pytest

from llmproxy.sse import Event
from llmproxy.testing import assert_bytes_invariant, assert_split_invariant

CORPUS = b"\xef\xbb\xbfdata: a\n\nevent: m\r\ndata: \xc3\xa9\r\n\r\n: ping\n\ndata: cut"


class Shout:
    """Hold each event until the next, and change it."""

    def __init__(self):
        self._held = []

    def feed(self, event):
        out, self._held = self._held, [event.replace(data=event.data.upper()) if event.data else event]
        return out

    def close(self):
        return [*self._held, Event(b"end")]


class Lines:
    """Count lines in each read: wrong at every cut but one."""

    def feed(self, data):
        return b"%d," % data.count(b"\n")

    def close(self):
        return b"."


class Upper:
    def feed(self, data):
        yield data.upper()

    def close(self):
        return ()


def test_a_transform_of_whole_events_is_invariant():
    assert_split_invariant(Shout, CORPUS)


def test_a_feeder_of_bytes_is_invariant():
    assert_bytes_invariant(Upper, CORPUS)


def test_a_feeder_that_looks_at_reads_is_found_out():
    with pytest.raises(AssertionError, match=r"cut at byte 1, .* from byte 0 on: b'0,1,.' instead of b'1,.'"):
        assert_bytes_invariant(Lines, b"ab\n")


def test_a_transform_that_remembers_reads_is_found_out():
    class Stateful(Shout):
        made = 0

        def close(self):
            Stateful.made += 1
            return [Event(b"%d" % Stateful.made)]

    with pytest.raises(AssertionError, match="cut at byte 1"):
        assert_split_invariant(Stateful, b"data: a\n\n")
