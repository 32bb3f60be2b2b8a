import itertools
from types import SimpleNamespace

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.replyreader import READING, WAITING, ReplyReader

CHUNKED = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-One: 1\r\n\r\n"
    b"3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nX-Trailer: kept out\r\n\r\n"
)


def read(*pieces: bytes, head_only: bool = False) -> ReplyReader:
    reader = ReplyReader()
    reader.expect(head_only=head_only)
    for piece in pieces:
        reader._parser.feed_data(piece)
    return reader


@given(st.sets(st.integers(1, len(CHUNKED) - 1), max_size=8))
def test_where_the_reads_fall_changes_nothing(cuts):
    edges = [0, *sorted(cuts), len(CHUNKED)]
    reader = read(*(CHUNKED[a:b] for a, b in itertools.pairwise(edges)))

    assert b"".join(reader._pieces) == b"abcdefg"
    assert (reader.status, reader.complete, reader.reusable) == (200, True, True)
    assert reader.fields == [(b"Transfer-Encoding", b"chunked"), (b"X-One", b"1")]


def test_an_interim_reply_is_no_reply():
    reader = read(b"HTTP/1.1 100 Continue\r\n\r\n")

    assert (reader.state, reader.complete) == (WAITING, False)


def test_an_interim_reply_is_told_with_its_fields_and_whoever_heard_it_is_forgotten():
    told = []
    hearer = SimpleNamespace(interim=lambda *args: told.append(args))
    reader = ReplyReader()
    reader.expect(head_only=False)
    reader.hearer = hearer
    for byte in b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\n" + CHUNKED:
        reader._parser.feed_data(bytes([byte]))

    assert told == [(103, [(b"Link", b"</a>")])]
    assert (reader.hearer, reader.fields[0]) == (None, (b"Transfer-Encoding", b"chunked"))


def test_a_reply_to_head_is_over_with_its_head_and_the_connection_usable_again():
    reader = read(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", head_only=True)

    assert (reader.complete, reader.reusable) == (True, True)

    reader.expect(head_only=False)
    reader._parser.feed_data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    assert (reader.complete, reader._pieces) == (True, [b"ok"])


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body_whatever_they_announce(status):
    reader = read(b"HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\n" % status)

    assert (reader.complete, reader.reusable) == (True, True)


def test_without_a_length_only_the_end_of_the_connection_ends_a_body():
    reader = read(b"HTTP/1.1 200 OK\r\n\r\nabc")

    assert (reader.state, reader.complete, reader.framed) == (READING, False, False)


def test_a_coding_that_nobody_knows_ends_with_the_connection():
    assert not read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xyz\r\n\r\nabc").framed
    assert read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n").framed


@pytest.mark.parametrize("field", [b"Connection: close", b"Connection: keep-alive, close"])
def test_a_reply_may_forbid_another(field):
    assert not read(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%b\r\n\r\n" % field).reusable


def test_http_1_0_is_not_kept_alive_unless_it_says_so():
    assert not read(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").reusable
    assert read(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n").reusable


@pytest.mark.parametrize(
    "more",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"garbage", b"\x00"],
    ids=["reply", "text", "nul"],
)
def test_what_follows_a_whole_reply_is_refused(more):
    with pytest.raises(httptools.HttpParserError):
        read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + more)


def test_a_body_in_a_reply_to_head_is_refused():
    with pytest.raises(httptools.HttpParserError):
        read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", head_only=True)
