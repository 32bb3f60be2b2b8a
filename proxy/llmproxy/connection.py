"""One connection to an upstream: HTTP/1.1 on httptools, bytes handed on as they arrive.

Theory of operation. A connection carries one message at a time. `send` writes the prepared request and waits for the
reply's head. A reply that arrives whole in one read becomes `bytes`; one that does not becomes a `Body` whose pieces
leave straight from `data_received`, without a task in between.

    state     send()      head complete    message complete       lost / timeout / abort
    IDLE      WAITING     (desync: close)  -                      CLOSED
    WAITING   -           READING          (whole reply) IDLE     CLOSED, the waiter fails
    READING   -           -                IDLE or CLOSED         CLOSED, the body fails

Timeouts cost nothing per piece: data only stamps `touched`, and the pool's sweep compares stamps (see pool.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import httptools

from llmproxy.body import Body
from llmproxy.errors import UpstreamError, UpstreamTimeout
from llmproxy.messages import Headers, RawHeader, Reply

if TYPE_CHECKING:
    from llmproxy.config import Timeouts

IDLE, WAITING, READING, CLOSED = range(4)

#: Bytes of status line and header fields that an upstream may send before it is refused.
MAX_HEAD = 128 * 1024


class _Desync(Exception):  # noqa: N818
    """The upstream sent bytes that belong to no request."""


class UpstreamConnection(asyncio.Protocol):
    """An upstream connection; `release(connection)` is called when it may carry another message or is closed."""

    __slots__ = (
        "_head_bytes",
        "_head_only",
        "_loop",
        "_parser",
        "_pieces",
        "_release",
        "_reusable",
        "_upload",
        "body",
        "complete",
        "expires",
        "fields",
        "idle_since",
        "reused",
        "started",
        "state",
        "status",
        "timeouts",
        "touched",
        "transport",
        "waiter",
    )

    def __init__(
        self, release: Callable[[UpstreamConnection], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._loop = loop
        self._release = release
        self._parser: Any = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._head_only = False
        self._head_bytes = 0
        self._reusable = False
        self._upload: Upload | None = None
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.state = IDLE
        self.status = 0
        self.fields: list[RawHeader] = []
        self.body: Body | None = None
        self.waiter: asyncio.Future[Reply] | None = None
        self.complete = False
        self.reused = False
        self.timeouts: Timeouts = cast("Timeouts", None)
        self.started = 0.0
        self.touched = 0.0
        self.expires = 0.0
        self.idle_since = 0.0

    # What the pool and the attempt call.

    def send(
        self, data: bytes, timeouts: Timeouts, expires: float, *, head_only: bool
    ) -> asyncio.Future[Reply]:
        """Write a prepared request; the future gives the reply once its head is here.

        `expires` is the exchange's deadline on the loop's clock; `head_only` says that no body follows (HEAD).
        """
        self.state = WAITING
        self.complete = False
        self.body = None
        self.fields = []
        self._head_only = head_only
        self._head_bytes = 0
        self._reusable = False
        self.timeouts = timeouts
        self.started = self.touched = self._loop.time()
        self.expires = expires
        self.waiter = waiter = self._loop.create_future()
        self.transport.write(data)
        return waiter

    def upload(self, body: Body, *, chunked: bool) -> None:
        """Stream the rest of the request's body, with back-pressure."""
        self._upload = Upload(self, body, chunked=chunked)
        body.attach(self._upload)

    def abort(self, error: BaseException | None = None) -> None:
        """Close at once; whoever waits gets `error`."""
        if self.state != CLOSED:
            self._close(error or ConnectionAbortedError("the exchange was given up"))

    def overdue(self, now: float) -> UpstreamTimeout | None:
        """Return the timeout that has run out, if any."""
        limits = self.timeouts
        if now > self.expires:
            return UpstreamTimeout("total", limits.total, sent=True)
        if self.state == WAITING:
            if self._upload is not None and self._upload.moving(now):
                return None
            late = now - self.started > limits.headers
            return UpstreamTimeout("headers", limits.headers, sent=True) if late else None
        tap = self.body.tap if self.body is not None else None
        if tap is not None and not tap.first_output:
            late = now - self.started > limits.first_token
            return UpstreamTimeout("first_token", limits.first_token, sent=True) if late else None
        if self.transport.is_reading() and now - self.touched > limits.idle:
            return UpstreamTimeout("idle", limits.idle, sent=True)
        return None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.state == IDLE or self.state == CLOSED:
            # Bytes that answer no request: the framing on this connection cannot be trusted any more.
            self._close(None)
            return
        self.touched = self._loop.time()
        if self.state == WAITING:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._close(self._bad("The upstream switched protocols unasked."))
        except (httptools.HttpParserError, _Desync):
            self._reusable = False
            self._deliver()
            self._close(self._bad("The upstream's reply is not valid HTTP/1.1."))
        else:
            self._deliver()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.state == READING and exc is None and not self._framed():
            # RFC 9112 §6.3: without a length the end of the connection is the end of the body.
            self.complete = True
            self._deliver()
        fault = UpstreamError(
            "upstream_reset", "The upstream closed the connection early.", phase=self.phase, sent=True
        )
        fault.__cause__ = exc
        self._close(fault)

    def pause_writing(self) -> None:
        if self._upload is not None:
            self._upload.pause()

    def resume_writing(self) -> None:
        if self._upload is not None:
            self._upload.resume()

    # httptools callbacks

    def on_message_begin(self) -> None:
        if self.state != WAITING:
            raise _Desync

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = status = self._parser.get_status_code()
        if status < 200:
            # RFC 9110 §15.2: interim replies precede the real one; none of them is the caller's business here.
            self.fields = []
            return
        self.state = READING
        if self._head_only:
            self.complete = True

    def on_body(self, data: bytes) -> None:
        if self._head_only:
            raise _Desync
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self.state == READING:
            self.complete = True
            # Asked here, as the parser forgets the message once this returns.
            self._reusable = not self._head_only and self._parser.should_keep_alive()

    # The rest is how a reply leaves.

    @property
    def phase(self) -> str:
        """What an error at this moment is called."""
        return "body" if self.state == READING else "headers"

    def _deliver(self) -> None:
        """Hand on what one read brought."""
        if self.state == WAITING:
            if self._head_bytes > MAX_HEAD:
                self._close(self._bad("The upstream's header is too large."))
            return
        pieces = self._pieces
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
        else:
            data = b""
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if waiter.done():  # the exchange was cancelled between the request and this read
                self._close(None)
                return
            if self.complete:
                waiter.set_result(Reply(self.status, Headers(self.fields), data))
                self._finish()
                return
            self.body = Body(self._pause, self._resume, self.abort)
            waiter.set_result(Reply(self.status, Headers(self.fields), self.body))
        body = self.body
        if body is not None:
            if data:
                body.feed(data)
            if self.complete and self.state != CLOSED:
                self._finish()
                body.end()

    def _finish(self) -> None:
        """The message is over: free the connection, or close it if it cannot carry another."""
        upload, self._upload = self._upload, None
        unsent = upload is not None and not upload.done
        if upload is not None and unsent:
            upload.stop()
        self.body = None
        if unsent or not self._reusable or self.transport.is_closing():
            self._close(None)
            return
        self.state = IDLE
        self.reused = True
        self._resume()
        self._release(self)

    def _close(self, error: BaseException | None) -> None:
        if self.state == CLOSED:
            return
        self.state = CLOSED
        waiter, self.waiter = self.waiter, None
        body, self.body = self.body, None
        upload, self._upload = self._upload, None
        self.transport.abort()
        if upload is not None:
            upload.stop()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error or ConnectionAbortedError("the connection was closed"))
        if body is not None:
            if self.complete:
                body.end()
            else:
                body.fail(error or ConnectionAbortedError("the connection was closed"))
        self._release(self)

    def _bad(self, message: str) -> UpstreamError:
        return UpstreamError("upstream_protocol_error", message, phase=self.phase, sent=True)

    def _framed(self) -> bool:
        names = {name.lower() for name, _ in self.fields}
        return b"content-length" in names or b"transfer-encoding" in names

    def _pause(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _resume(self) -> None:
        if not self.transport.is_closing() and not self.transport.is_reading():
            self.touched = self._loop.time()
            self.transport.resume_reading()


class Upload:
    """The sink that streams a request's body into an upstream connection."""

    __slots__ = ("_body", "_chunked", "_connection", "_touched", "done")

    def __init__(self, connection: UpstreamConnection, body: Body, *, chunked: bool) -> None:
        self._connection = connection
        self._body = body
        self._chunked = chunked
        self._touched = connection.started
        self.done = False

    def feed(self, data: bytes) -> None:
        """Write one piece."""
        self._touched = self._connection._loop.time()  # noqa: SLF001  # two halves of one connection
        write = self._connection.transport.write
        write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self) -> None:
        """Write what ends the body."""
        self.done = True
        if self._chunked:
            self._connection.transport.write(b"0\r\n\r\n")

    def fail(self, error: BaseException) -> None:
        """The caller's upload broke off: so must the request, or the upstream would take it for whole."""
        self.done = True
        self._connection.abort(error)

    def moving(self, now: float) -> bool:
        """Whether the caller is still sending, so that the upstream cannot be expected to answer yet."""
        waiting_since = max(self._touched, self._connection.started)
        return not self.done or now - waiting_since <= self._connection.timeouts.headers

    def pause(self) -> None:
        """Stop reading from the caller."""
        self._body.pause(self)

    def resume(self) -> None:
        """Go on reading from the caller."""
        self._body.resume(self)

    def stop(self) -> None:
        """Take no more: the upstream has answered already, or is gone."""
        if not self.done:
            self.done = True
            self._body.detach(self)
