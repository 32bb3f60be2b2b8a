from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Body, Headers, Reply
from llmproxy_calllog.copies import Copy

HEADERS = {"Content-Type": "application/json"}


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=10), st.integers(1, 100))
def test_the_first_bytes_are_kept_however_they_come(pieces, most):
    body = Body()
    copy = Copy.of(Reply(200, Headers.of(HEADERS), body), most)
    body.attach(Copy(b"", b"", 0))
    for piece in pieces:
        body.feed(piece)
    body.end()
    whole = b"".join(pieces)

    assert copy.data == whole[:most]
    assert copy.size == len(whole)


def test_a_reply_in_one_piece_is_copied_at_once():
    copy = Copy.of(Reply(200, Headers.of(HEADERS), b"abcdef"), 4)

    assert (copy.data, copy.size, copy.media, copy.coding) == (b"abcd", 6, b"application/json", b"identity")


def test_what_broke_off_keeps_what_came():
    copy = Copy(b"text/plain", b"identity", 10)
    copy.feed(b"abc")
    copy.fail(ConnectionError())

    assert (copy.data, copy.broken) == (b"abc", True)
