"""The caller's side of one exchange: reading the upload, writing the reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

from llmproxy.body import Body
from llmproxy.errors import BadRequest, GatewayError
from llmproxy.messages import HOP_BY_HOP, Headers, Reply, Spellings
from llmproxy.storedheaders import StoredHeaders

if TYPE_CHECKING:
    from aiohttp import StreamReader

    from llmproxy.exchange import Exchange

#: Bytes written to a caller and not yet taken by the kernel, before its source is paused.
WRITE_HIGH = 64 * 1024

#: The fields of a reply that pass: not those of one hop, nor those that the gateway writes itself.
_keeps = Spellings(HOP_BY_HOP | {b"content-length"})


class _StatusLines(dict[int, bytes]):
    """Remembers each."""

    def __missing__(self, status: int) -> bytes:
        from http import HTTPStatus  # noqa: PLC0415  # once a status

        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = ""
        line = self[status] = f"HTTP/1.1 {status} {reason}\r\n".encode()
        return line


#: The status line of each status, with the standard reason.
STATUS_LINES: Final = _StatusLines()


#: Options of `Connection` that name no field of one hop: its own, and fields for all who read the message, which may
#: not be listed. Without them a body that was judged as JSON would arrive as something else.
_NEVER_LISTED: Final = frozenset(
    {b"", b"close", b"keep-alive", b"cache-control", b"content-encoding", b"content-type", b"vary"}
)


def connection_fields(headers: Headers) -> frozenset[bytes]:
    """Return the names that `Connection` lists: they are for one hop only (RFC 9110 §7.6.1)."""
    if b"connection" not in headers.index:
        return frozenset()
    # The field may stand on several lines, which together are one list (RFC 9110 §5.3).
    listed = b",".join([value for name, value in headers.raw if name.lower() == b"connection"])
    return frozenset(name.strip().lower() for name in listed.split(b",")) - _NEVER_LISTED


def write_head(reply: Reply, extra: bytes, framing: bytes) -> bytes:
    """Return a reply's status line and header. `framing` ends it, blank line included."""
    headers, keeps = reply.headers, _keeps
    if type(headers) is StoredHeaders and headers.wire is not None:
        return b"".join((STATUS_LINES[reply.status], headers.wire, extra, framing))
    fields = [b"%b: %b\r\n" % pair for pair in headers.raw if keeps[pair[0]]]
    if b"connection" in headers.index and (listed := connection_fields(headers)):
        fields = [field for field in fields if field.partition(b":")[0].lower() not in listed]
    return b"".join([STATUS_LINES[reply.status], *fields, extra, framing])


class ClientSink:
    """Writes a streamed reply to the caller's transport, straight from the source, with back-pressure."""

    __slots__ = (
        "_body",
        "_chunked",
        "_exchange",
        "_head",
        "_transport",
        "_write",
        "broken",
        "done",
        "feed",
        "sent",
    )

    def __init__(  # made once a stream
        self,
        transport: asyncio.Transport,
        exchange: Exchange,
        body: Body,
        head: bytes,
        done: asyncio.Future[None],
        *,
        chunked: bool,
    ) -> None:
        self._transport = transport
        self._write = transport.write
        self._exchange = exchange
        self._body = body
        self._head = head
        self._chunked = chunked
        self.done = done
        #: Write one piece. What follows the first goes the short way.
        self.feed: Callable[[bytes], None] = self._feed_first
        self.broken: BaseException | None = None
        self.sent = 0

    def start(self) -> None:
        """Write the head now if no piece of the body took it along."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def _feed_first(self, data: bytes) -> None:
        head, self._head = self._head, b""
        self.sent += len(data)
        self._write(b"%b%x\r\n%b\r\n" % (head, len(data), data) if self._chunked else head + data)
        self.feed = self._feed_chunk if self._chunked else self._feed_plain

    def _feed_chunk(self, data: bytes) -> None:
        self.sent += len(data)
        self._write(b"%x\r\n%b\r\n" % (len(data), data))

    def _feed_plain(self, data: bytes) -> None:
        self.sent += len(data)
        self._write(data)

    def end(self) -> None:
        """Write what ends the body."""
        self.start()
        if self._chunked:
            self._transport.write(b"0\r\n\r\n")
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Say honestly that the body broke off: an error event where the caller's dialect has one, then no clean end."""
        self.broken = error
        event = self._error_event(error)
        if event and not self._transport.is_closing():
            self.feed(event)
        else:
            self.start()
        if not self.done.done():
            self.done.set_result(None)

    def _error_event(self, error: BaseException) -> bytes:
        face = self._exchange.client_face
        if face is None or not self._exchange.streamed or not self._chunked:
            return b""
        if not isinstance(error, GatewayError):
            error = GatewayError(502, "upstream_cut", "The upstream's stream broke off.")
        return face.stream_error(self._exchange, error)

    def pause(self) -> None:
        """The caller takes nothing: stop the source."""
        self._body.pause(self)

    def resume(self) -> None:
        """The caller takes again."""
        self._body.resume(self)


def take_upload(payload: StreamReader, timeout: float) -> bytes | Body:
    """Return the request's body: bytes if it is all here, else a Body that reads it with back-pressure."""
    if payload.is_eof() and payload.exception() is None:
        # The reader's own buffer: it is read once and dropped, so its book-keeping is not needed.
        pieces: list[bytes] = list(getattr(payload, "_buffer", ()))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return Body.pumped(_pieces(payload, timeout))


async def _pieces(payload: StreamReader, timeout: float) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(timeout):
                data: Any = await payload.readany()
        except TimeoutError:
            message = f"No piece of the request's body came for {timeout:g} s."
            raise BadRequest("body_timeout", message, status=408) from None
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as fault:
            raise BadRequest("bad_body", "The request's body is not validly framed.") from fault
        if not data:
            return
        yield data
