import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.testing import wire


def reader_of(data):
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def read(data, *, until_close=False):
    reader = reader_of(data)
    head = await wire.read_head(reader)
    return head, await wire.read_payload(reader, head, until_close=until_close), await reader.read()


async def test_a_head_keeps_order_and_spelling():
    head, payload, rest = await read(b"GET / HTTP/1.1\r\nX-B: 1\r\nx-a:  two \r\nX-b: 3\r\n\r\nmore")

    assert head.headers == ((b"X-B", b"1"), (b"x-a", b"two"), (b"X-b", b"3"))
    assert (head.start, head.get("x-b"), head.all("X-A"), head.get("none")) == (
        b"GET / HTTP/1.1",
        "1, 3",
        ["two"],
        None,
    )
    assert (payload.body, rest) == (b"", b"more")


@pytest.mark.parametrize("line", [b"X-A : 1", b"X-A: 1\nX-B: 2", b" folded", b"X-A: \0", b"nothing", b"(: 1"])
async def test_a_line_that_is_no_field_is_refused(line):
    with pytest.raises(wire.WireFault, match="is no header field"):
        await read(b"GET / HTTP/1.1\r\n" + line + b"\r\n\r\n")


async def test_a_length_is_read_to_the_byte():
    _, payload, rest = await read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd")

    assert (payload.body, payload.chunks, rest) == (b"abc", None, b"d")


async def test_no_length_reads_to_the_close_where_that_is_allowed():
    _, payload, _ = await read(b"HTTP/1.1 200 OK\r\n\r\nabcd", until_close=True)

    assert payload.body == b"abcd"


async def test_chunks_and_trailers_are_kept_apart():
    body = wire.chunk(b"ab") + b"3;x=y\r\ncde\r\n" + b"0\r\nX-Sum: 5\r\n\r\nnext"
    _, payload, rest = await read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)

    assert payload == wire.Payload(b"abcde", (b"ab", b"cde"), ((b"X-Sum", b"5"),))
    assert rest == b"next"


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5))
def test_what_is_chunked_reads_back_the_same(pieces):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    stream = head + b"".join(wire.chunk(piece) for piece in pieces) + b"0\r\n\r\n"

    assert asyncio.run(read(stream))[1].chunks == tuple(pieces)


@pytest.mark.parametrize(
    ("fields", "body", "message"),
    [
        (b"Content-Length: 1\r\nTransfer-Encoding: chunked", b"", "with Content-Length"),
        (b"Transfer-Encoding: gzip, chunked", b"", "Transfer-Encoding"),
        (b"Content-Length: 1\r\nContent-Length: 2", b"", "Content-Length"),
        (b"Content-Length: +1", b"", "Content-Length"),
        (b"Transfer-Encoding: chunked", b"2\r\nabc\r\n", "goes on with b'c"),
        (b"Transfer-Encoding: chunked", b"0x2\r\nab\r\n", "no chunk size"),
        (b"Transfer-Encoding: chunked", b"-2\r\nab\r\n", "no chunk size"),
        (b"Transfer-Encoding: chunked", b"2 \n\r\nab\r\n", "no chunk size"),
    ],
)
async def test_a_body_whose_framing_is_in_doubt_is_refused(fields, body, message):
    with pytest.raises(wire.WireFault, match=message):
        await read(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    ("data", "part", "received"),
    [
        (b"HTTP/1.1 20", "head", b"HTTP/1.1 20"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "body", b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\nd", "chunked body", b"abcd"),
    ],
)
async def test_what_ends_too_soon_says_where(data, part, received):
    with pytest.raises(wire.CutShort, match=f"inside the {part}, after") as fault:
        await read(data)
    assert fault.value.received == received


async def test_the_end_between_messages_is_no_fault():
    assert await wire.read_head(reader_of(b"")) is None


async def test_a_flushed_connection_loses_nothing_when_it_is_reset():
    sent = b"x" * 300_000

    async def serve(reader, writer):
        writer.write(sent)
        await wire.flush(writer.transport)
        wire.reset(writer.transport)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    received = await reader.readexactly(len(sent))
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    writer.close()
    server.close()

    assert received == sent
