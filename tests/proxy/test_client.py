import asyncio

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import TransferEncodingError
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.body import Body
from llmproxy.client import STATUS_LINES, ClientSink, connection_fields, take_upload, write_head
from llmproxy.errors import BadRequest, GatewayError
from llmproxy.messages import HOP_BY_HOP, Headers, Reply
from llmproxy.storedheaders import StoredHeaders
from llmproxy.testing import make_exchange


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self):
        self.data = b""
        self.writes = 0
        self.closing = False

    def write(self, data):
        self.data += data
        self.writes += 1

    def is_closing(self):
        return self.closing


class Face:
    def stream_error(self, exchange, error):
        return b"event: error %b %b\n\n" % (error.code.encode(), exchange.id.encode())


def make_sink(*, body=None, chunked=True, face=None, streamed=True):
    exchange = make_exchange(name="e1", streamed=streamed)
    exchange.client_face = face
    done = asyncio.get_running_loop().create_future()
    return ClientSink(Wire(), exchange, body or Body(), b"HEAD\r\n\r\n", done, chunked=chunked)


@pytest.mark.parametrize(
    ("status", "line"),
    [(200, b"HTTP/1.1 200 OK\r\n"), (404, b"HTTP/1.1 404 Not Found\r\n"), (599, b"HTTP/1.1 599 \r\n")],
)
def test_a_status_line_tells_the_standard_reason(status, line):
    assert [STATUS_LINES[status], STATUS_LINES[status]] == [line, line]


def test_a_head_keeps_order_and_spelling_and_ends_with_the_framing():
    reply = Reply(200, Headers([(b"X-One", b"1"), (b"set-cookie", b"a"), (b"Set-Cookie", b"b")]))

    assert write_head(reply, b"Date: now\r\n", b"Content-Length: 0\r\n\r\n") == (
        b"HTTP/1.1 200 OK\r\nX-One: 1\r\nset-cookie: a\r\nSet-Cookie: b\r\n"
        b"Date: now\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP | {b"content-length"}))
def test_fields_of_one_hop_and_the_length_stay_behind(name):
    """RFC 9110 §7.6.1."""
    reply = Reply(200, Headers([(name.title(), b"x-none"), (name, b"x-none")]))

    assert write_head(reply, b"", b"\r\n") == b"HTTP/1.1 200 OK\r\n\r\n"


def test_fields_that_connection_lists_stay_behind():
    """RFC 9110 §7.6.1, and §5.3 for several lines."""
    reply = Reply(
        200,
        Headers(
            [
                (b"X-Hop", b"1"),
                (b"Connection", b"x-hop, close"),
                (b"X-Kept", b"2"),
                (b"connection", b"X-Other"),
                (b"x-other", b"3"),
            ]
        ),
    )

    assert write_head(reply, b"", b"\r\n") == b"HTTP/1.1 200 OK\r\nX-Kept: 2\r\n\r\n"


@given(st.lists(st.lists(st.sampled_from(["X-A", " x-b ", "close", "Keep-Alive", "", "TE"]))))
def test_connection_fields_are_the_union_of_all_lines(lines):
    headers = Headers([(b"Connection", ",".join(names).encode()) for names in lines])
    listed = {name.strip().lower().encode() for names in lines for name in names}

    assert connection_fields(headers) == listed - {b"close", b"keep-alive", b""}


def test_nobody_can_have_what_a_body_is_taken_off_on_the_way():
    headers = Headers([(b"Connection", b"content-type, X-A, Content-Encoding, vary, Cache-Control")])

    assert connection_fields(headers) == {b"x-a"}


def test_without_a_connection_field_nothing_is_listed():
    assert connection_fields(Headers([(b"X-Connection", b"x")])) == frozenset()


async def test_a_chunked_reply_leaves_with_its_head_in_the_first_write():
    body = Body()
    sink = make_sink(body=body)
    body.attach(sink)
    body.feed(b"hello")

    assert (sink._transport.data, sink._transport.writes) == (b"HEAD\r\n\r\n5\r\nhello\r\n", 1)

    sink.start()
    body.feed(b"x" * 16)
    body.end()

    assert sink._transport.data == b"HEAD\r\n\r\n5\r\nhello\r\n10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n"
    assert sink.done.done()
    assert (sink.sent, sink.broken) == (21, None)


async def test_a_reply_of_known_length_leaves_as_it_is():
    sink = make_sink(chunked=False)
    sink.feed(b"ab")
    sink.feed(b"c")
    sink.end()

    assert sink._transport.data == b"HEAD\r\n\r\nabc"


async def test_an_empty_stream_still_has_its_head_and_end():
    sink = make_sink()
    sink.end()

    assert sink._transport.data == b"HEAD\r\n\r\n0\r\n\r\n"


async def test_the_head_need_not_wait_for_the_body():
    sink = make_sink()
    sink.start()
    sink.start()

    assert sink._transport.data == b"HEAD\r\n\r\n"


@pytest.mark.parametrize(
    ("fault", "code"),
    [(ConnectionResetError("secret"), b"upstream_cut"), (GatewayError(504, "idle", "Idle."), b"idle")],
)
async def test_a_cut_stream_ends_with_an_error_event_and_no_clean_end(fault, code):
    sink = make_sink(face=Face())
    sink.feed(b"a")
    sink.fail(fault)
    event = b"event: error %b e1\n\n" % code

    assert sink._transport.data == b"HEAD\r\n\r\n1\r\na\r\n%x\r\n%b\r\n" % (len(event), event)
    assert sink.broken is fault
    assert sink.done.done()


@pytest.mark.parametrize(
    "how", [{"face": None}, {"face": Face(), "streamed": False}, {"face": Face(), "chunked": False}]
)
async def test_where_no_error_event_fits_the_reply_just_breaks_off(how):
    sink = make_sink(**how)
    sink.fail(ConnectionResetError())

    assert sink._transport.data == b"HEAD\r\n\r\n"
    assert sink.done.done()


async def test_a_caller_that_is_leaving_gets_no_error_event():
    sink = make_sink(face=Face())
    sink.feed(b"a")
    sink._transport.closing = True
    sink.fail(ConnectionResetError())

    assert sink._transport.data.endswith(b"a\r\n")


async def test_the_end_and_the_failure_bear_an_exchange_that_was_given_up():
    one, two = make_sink(), make_sink()
    one.done.cancel()
    two.done.cancel()
    one.end()
    two.fail(ConnectionResetError())

    assert one.done.cancelled()
    assert two.done.cancelled()


async def test_a_caller_that_takes_nothing_stops_the_source():
    said = []
    body = Body(lambda: said.append("pause"), lambda: said.append("resume"))
    sink = make_sink(body=body)
    sink.pause()
    sink.resume()

    assert said == ["pause", "resume"]


def make_payload():
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    return StreamReader(protocol, 2**16, loop=loop)


async def test_an_upload_that_is_all_here_is_bytes():
    payload = make_payload()
    payload.feed_data(b"abc")
    payload.feed_eof()

    assert take_upload(payload, 1.0) == b"abc"


async def test_an_upload_that_still_comes_is_read_as_it_comes():
    payload = make_payload()
    payload.feed_data(b"ab")
    upload = take_upload(payload, 1.0)
    asyncio.get_running_loop().call_soon(lambda: (payload.feed_data(b"c"), payload.feed_eof()))

    assert isinstance(upload, Body)
    assert await upload.read(10) == b"abc"


async def test_a_stalled_upload_is_told_so():
    upload = take_upload(make_payload(), 0.01)

    with pytest.raises(BadRequest, match=r"No piece .* came for 0\.01 s") as caught:
        await upload.read(10)
    assert (caught.value.status, caught.value.code) == (408, "body_timeout")


async def test_a_badly_framed_upload_is_refused_without_its_bytes():
    payload = make_payload()
    upload = take_upload(payload, 1.0)
    payload.set_exception(TransferEncodingError("secret"))

    with pytest.raises(BadRequest, match="not validly framed") as caught:
        await upload.read(10)
    assert (caught.value.status, caught.value.code) == (400, "bad_body")
    assert "secret" not in str(caught.value)


async def test_an_upload_that_broke_off_is_no_bad_request():
    payload = make_payload()
    upload = take_upload(payload, 1.0)
    payload.set_exception(ConnectionResetError())

    with pytest.raises(ConnectionResetError):
        await upload.read(10)


async def test_an_upload_that_broke_before_it_was_asked_for_is_not_taken_for_whole():
    payload = make_payload()
    payload.set_exception(ConnectionResetError())
    payload.feed_eof()

    with pytest.raises(ConnectionResetError):
        await take_upload(payload, 1.0).read(10)


def test_stored_fields_are_written_as_they_are_and_changed_ones_as_they_became() -> None:
    fields = b"Content-Type: text/plain\r\nDate: Sun, 22 Nov 2026 14:00:00 GMT\r\n"
    stored = Reply(200, StoredHeaders(fields, [(b"Age", b"5")]))
    head = b"HTTP/1.1 200 OK\r\n" + fields + b"Age: 5\r\n"

    assert write_head(stored, b"X-Id: 1\r\n", b"\r\n") == head + b"X-Id: 1\r\n\r\n"
    stored.headers.remove("Age")
    assert b"Age" not in write_head(stored, b"", b"\r\n")
