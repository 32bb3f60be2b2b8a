"""A reply on its way out: status line, header, framing and body onto the caller's transport."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from llmproxy.body import Body
from llmproxy.client import WRITE_HIGH, ClientSink, write_head
from llmproxy.errors import GatewayError
from llmproxy.messages import Headers, Reply

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.plainreading import Message, Payload
    from llmproxy.server import ClientConnection, Front

#: Statuses that never have a body (RFC 9110 §15.3.5, §15.4.5).
_BODILESS = frozenset({204, 304})


async def deliver(
    connection: ClientConnection,
    reply: Reply,
    exchange: Exchange | None,
    message: Message,
    payload: Payload,
    *,
    last: bool = False,
    begun: bool = False,
) -> bool:
    """Write a reply, perhaps as the connection's last; return whether another exchange may follow.

    `begun` says that the head of a stream has left already: its body follows in chunks.

    Raises:
        CancelledError: the caller is gone.
    """
    transport, front, body = connection.transport, connection.front, reply.body
    if transport is None:
        if isinstance(body, Body):
            body.abandon()
        raise asyncio.CancelledError
    all_here = isinstance(payload, bytes) or payload.is_eof()
    keep = all_here and not (last or message.should_close or message.upgrade or front.draining)
    if exchange is not None and not begun:
        exchange.outcome.first_byte_at = front.now()
    size = 0
    if message.method == "HEAD" or reply.status in _BODILESS:
        _write_bodiless(transport, reply, _extra(front, reply, exchange, message, keep=keep))
    elif isinstance(body, Body):
        keep = await _stream(connection, reply, cast("Exchange", exchange), message, keep=keep, begun=begun)
        exchange = None  # it is settled
    else:
        size = len(body)
        extra = _extra(front, reply, exchange, message, keep=keep)
        _write(transport, write_head(reply, extra, b"Content-Length: %d\r\n\r\n" % size), body)
    if exchange is not None:
        _settle(exchange, size, None)
    if connection.writing_paused:
        await connection._drain_helper()  # aiohttp's name for waiting until the caller takes again
    return keep


def _extra(front: Front, reply: Reply, exchange: Exchange | None, message: Message, *, keep: bool) -> bytes:
    has = reply.headers.has
    extra = b"" if has(b"date") else b"Date: %b\r\n" % front.watch.date
    name = front.id_header
    if exchange is not None and not has(name):
        extra += b"%b: %b\r\n" % (name, exchange.id.encode())
    if not keep:
        return extra + b"Connection: close\r\n"
    return extra if message.version >= (1, 1) else extra + b"Connection: keep-alive\r\n"


def _write(transport: asyncio.Transport, head: bytes, body: bytes) -> None:
    if len(body) < WRITE_HIGH:
        transport.write(head + body)
    else:
        transport.write(head)
        transport.write(body)


def _write_bodiless(transport: asyncio.Transport, reply: Reply, extra: bytes) -> None:
    length = reply.headers.index.get(b"content-length")
    framing = b"Content-Length: %b\r\n\r\n" % length if length and reply.status != 204 else b"\r\n"
    if isinstance(reply.body, Body):
        reply.body.abandon()
    transport.write(write_head(reply, extra, framing))


def begin_stream(connection: ClientConnection, exchange: Exchange, message: Message) -> None:
    """Write the head of an event stream whose answer is awaited still."""
    face = exchange.client_face
    kind = b"text/event-stream" if face is None else face.stream_type(exchange)
    reply = Reply(200, Headers([(b"Content-Type", kind), (b"Cache-Control", b"no-cache"), *exchange.heralds]))
    extra = _extra(connection.front, reply, exchange, message, keep=not message.should_close)
    exchange.outcome.first_byte_at = connection.front.now()
    cast("asyncio.Transport", connection.transport).write(
        write_head(reply, extra, b"Transfer-Encoding: chunked\r\n\r\n")
    )


async def _stream(
    connection: ClientConnection,
    reply: Reply,
    exchange: Exchange,
    message: Message,
    *,
    keep: bool,
    begun: bool,
) -> bool:
    body = cast("Body", reply.body)
    length = None if begun else reply.headers.index.get(b"content-length")
    chunked = length is None and message.version >= (1, 1)
    if length is not None:
        framing = b"Content-Length: %b\r\n\r\n" % length
    elif chunked:
        framing = b"Transfer-Encoding: chunked\r\n\r\n"
    else:
        # HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
        framing, keep = b"\r\n", False
    extra = _extra(connection.front, reply, exchange, message, keep=keep)
    head = b"" if begun else write_head(reply, extra, framing)
    transport = cast("asyncio.Transport", connection.transport)
    done = asyncio.get_running_loop().create_future()
    sink = ClientSink(transport, exchange, body, head, done, chunked=chunked)
    connection.sink = sink
    body.attach(sink)
    sink.start()
    if connection.writing_paused:
        sink.pause()
    try:
        if not done.done():
            await done
    except asyncio.CancelledError:
        body.detach(sink)
        raise
    finally:
        _settle(exchange, sink.sent, sink.broken)
    return keep and sink.broken is None and (length is None or sink.sent == int(length))


def _settle(exchange: Exchange, sent: int, broken: BaseException | None) -> None:
    outcome = exchange.outcome
    outcome.bytes_out = sent
    if broken is not None:
        outcome.result = "cut"
        outcome.error = broken.code if isinstance(broken, GatewayError) else "upstream_cut"
    elif not outcome.result:
        outcome.result = "ok" if outcome.status < 500 else "upstream_error"
