import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmproxy.inflate
from llmproxy.inflate import Inflate, Inflated

CUTS = st.lists(st.integers(0, 200), max_size=6)
PLAIN = st.one_of(st.binary(max_size=200), st.integers(0, 9000).map(lambda size: b"a" * size))
PACK = {b"gzip": gzip.compress, b"x-gzip": gzip.compress, b"deflate": zlib.compress}


class Kept:
    def __init__(self):
        self.data = b""
        self.pieces = []
        self.ends = []

    def feed(self, data):
        assert data
        self.data += data
        self.pieces.append(len(data))

    def end(self):
        self.ends.append(None)

    def fail(self, error):
        self.ends.append(error)


def cut(data, places):
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(llmproxy.inflate, "_STEP", 16)


@pytest.mark.parametrize("coding", [b"gzip", b"x-gzip", b"deflate", b" GZip "])
@given(plain=PLAIN, cuts=CUTS)
def test_both_decode_bytes_cut_anywhere(coding, plain, cuts):
    packed = PACK[coding.strip().lower()](plain)
    kept, machine = Kept(), Inflate(coding)
    sink = Inflated(kept, coding)
    out = b""
    for piece in cut(packed, cuts):
        sink.feed(piece)
        out += machine.feed(piece)

    assert kept.data == out + machine.close() == plain


@pytest.mark.parametrize("size", range(0, 2000, 77))
def test_no_output_stays_behind_in_the_decoder(size, small_steps):
    plain = b"a" * size
    kept, machine = Kept(), Inflate(b"gzip")
    Inflated(kept, b"gzip").feed(gzip.compress(plain))

    assert kept.data == machine.feed(gzip.compress(plain)) == plain
    assert max(kept.pieces, default=0) <= 16


@given(st.lists(PLAIN, min_size=1, max_size=3), CUTS)
def test_a_gzip_stream_may_have_several_members(plains, cuts):
    """RFC 1952 §2.2."""
    kept, machine = Kept(), Inflate(b"gzip")
    sink = Inflated(kept, b"gzip")
    out = b""
    for piece in cut(b"".join(map(gzip.compress, plains)), cuts):
        sink.feed(piece)
        out += machine.feed(piece)

    assert kept.data == out + machine.close() == b"".join(plains)


def test_padding_after_the_end_is_no_member():
    kept = Kept()
    Inflated(kept, b"gzip").feed(gzip.compress(b"a") + b"\0\0")

    assert kept.data == b"a"


def test_a_bomb_costs_its_bound_and_nothing_else(monkeypatch):
    monkeypatch.setattr(llmproxy.inflate, "DECODE_LIMIT", 1000)
    bomb = gzip.compress(b"a" * 100_000)
    kept = Kept()
    sink = Inflated(kept, b"gzip")
    sink.feed(bomb)
    sink.feed(bomb)
    sink.end()

    assert kept.data == b"a" * 1000
    assert kept.ends == [None]
    with pytest.raises(ValueError, match="grows too large"):
        Inflate(b"gzip").feed(bomb)


@given(st.binary(max_size=50))
def test_broken_bytes_end_the_copy_and_the_machine_says_so(data):
    kept = Kept()
    sink = Inflated(kept, b"gzip")
    sink.feed(gzip.compress(b"whole"))
    sink.feed(b"\x1f\x8b" + b"\xff" * 20 + data)
    sink.feed(gzip.compress(b"late"))
    sink.end()

    assert kept.data == b"whole"
    assert kept.ends == [None]
    with pytest.raises(ValueError, match="is broken"):
        Inflate(b"gzip").feed(b"no gzip")


def test_an_unknown_coding_leaves_the_reader_unfed_and_stops_the_machine():
    kept = Kept()
    sink = Inflated(kept, b"br")
    sink.feed(b"data")
    sink.end()

    assert (kept.data, kept.ends) == (b"", [None])
    with pytest.raises(ValueError, match="cannot be read"):
        Inflate(b"br").feed(b"data")
    with pytest.raises(ValueError, match="not whole"):
        Inflate(b"br").close()


def test_a_stream_cut_short_is_not_whole():
    machine = Inflate(b"gzip")
    machine.feed(gzip.compress(b"data")[:-1])

    with pytest.raises(ValueError, match="not whole"):
        machine.close()


def test_a_failure_is_passed_on():
    kept, error = Kept(), ConnectionError()
    Inflated(kept, b"gzip").fail(error)

    assert kept.ends == [error]


def test_what_grows_out_of_all_proportion_is_read_no_further():
    bomb = gzip.compress(b"\0" * 50_000_000, 9)
    kept = Kept()
    Inflated(kept, b"gzip").feed(bomb)

    assert len(kept.data) <= 2 * 1024 * 1024
    with pytest.raises(ValueError, match="is broken"):
        Inflate(b"gzip").feed(bomb)


def test_long_text_that_repeats_itself_is_read_to_its_end():
    text = b"".join(b'data: {"n":%d,"choices":[{"delta":{"content":"word"}}]}\n\n' % n for n in range(60_000))
    kept = Kept()
    Inflated(kept, b"gzip").feed(gzip.compress(text, 9))

    assert kept.data == text
