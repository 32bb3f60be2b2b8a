"""One connection to an upstream: HTTP/1.1 on httptools, bytes handed on as they arrive.

Theory of operation. A connection carries one message at a time. `send` writes the prepared request and waits for the
reply's head. A reply that arrives whole in one read becomes `bytes`; one that does not becomes a `Body` whose pieces
leave straight from `data_received`, without a task in between.

    state     send()      head complete    message complete       lost / timeout / abort
    IDLE      WAITING     (desync: close)  -                      CLOSED
    WAITING   -           READING          (whole reply) IDLE     CLOSED, the waiter fails
    READING   -           -                IDLE or CLOSED         CLOSED, the body fails

Timeouts cost nothing per piece: data only stamps `touched`, and the pool's sweep compares stamps (`overdue` in pool.py).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from llmproxy.body import Body
from llmproxy.errors import UpstreamError
from llmproxy.messages import Headers, Reply
from llmproxy.replyreader import CLOSED, IDLE, READING, WAITING
from llmproxy.upload import Carrier, reset_on_close

if TYPE_CHECKING:
    from llmproxy.config import Timeouts

#: Bytes that an upstream may send in a row without a byte of body among them: a head, trailers, chunk extensions.
MAX_HEAD = 64 * 1024


class UpstreamConnection(Carrier):
    """An upstream connection; `release(connection)` is called when it may carry another message or is closed.

    `reused` says that it has carried a message before.
    """

    __slots__ = ("_release", "body", "expires", "reused", "started", "timeouts", "waiter")

    def __init__(
        self, release: Callable[[UpstreamConnection], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(loop)
        self._release = release
        self.body: Body | None = None
        self.waiter: asyncio.Future[Reply] | None = None
        self.timeouts: Timeouts = cast("Timeouts", None)
        self.started = 0.0
        self.expires = 0.0
        self.reused = False

    # What the pool and the upstream call.

    def send(
        self, data: bytes, timeouts: Timeouts, expires: float, *, head_only: bool
    ) -> asyncio.Future[Reply]:
        """Write a prepared request; the future gives the reply once its head is here.

        `expires` is the exchange's deadline on the loop's clock; `head_only` says that no body follows (HEAD).
        """
        self.expect(head_only=head_only)
        self.timeouts = timeouts
        self.expires = expires
        self.started = self.touched = self._loop.time()
        self.waiter = waiter = self._loop.create_future()
        self.transport.write(data)
        return waiter

    def give_up(self, waiter: asyncio.Future[Reply]) -> None:
        """Close at once, as the one who awaited `waiter` was cancelled; never what carries another exchange by now."""
        if waiter.cancelled():
            self.abort()
        elif waiter.exception() is None and isinstance(body := waiter.result().body, Body):
            body.abandon()

    def abort(self, error: BaseException | None = None) -> None:
        """Close at once; whoever waits gets `error`."""
        self._close(error or ConnectionAbortedError("the exchange was given up"))

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.state = IDLE

    def data_received(self, data: bytes) -> None:
        if self.state < WAITING:
            # Bytes that answer no request: the framing on this connection cannot be trusted any more.
            self._close(None)
            return
        self.touched = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._close(self._bad("The upstream switched protocols unasked."))
        except httptools.HttpParserError:
            self.reusable = False
            self._deliver(len(data))
            self._close(self._bad("The upstream's reply is not valid HTTP/1.1."))
        else:
            body, pieces = self.body, self._pieces
            if body is None or self.complete or not pieces:
                self._deliver(len(data))
                return
            # A stream on its way, which is what comes most: its bytes, and no question about them.
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._void = 0
            body.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.state == CLOSED:
            return
        if self.state == READING and exc is None and not self.framed:
            self.complete = True
            self._deliver(0)
        code, message, phase = "upstream_reset", "The upstream closed the connection early.", self.phase
        if isinstance(exc, ssl.SSLError) and self.state == WAITING:
            # TLS 1.3 tells of a client certificate that it will not have only after the handshake (RFC 8446 §4.4.2.4).
            code, message, phase = "upstream_tls_error", "The upstream broke off TLS.", "tls"
        fault = UpstreamError(code, message, phase=phase, sent=True)
        fault.__cause__ = exc
        self._close(fault)

    # The rest is how a reply leaves.

    @property
    def phase(self) -> str:
        """What an error at this moment is called."""
        return "body" if self.waiter is None else "headers"

    def _deliver(self, size: int) -> None:
        """Hand on what one read of `size` bytes brought."""
        void = self._void + size
        pieces = self._pieces
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._void = 0
        else:
            data = b""
            self._void = void
        if void > MAX_HEAD and self._overlong(data):
            self._close(self._bad("The upstream's header is too large."))
            return
        waiter = self.waiter
        if waiter is not None:
            if self.state == WAITING:
                return
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
                self._resume()
                self._finish()
                body.end()

    def _overlong(self, data: bytes) -> bool:
        """Whether a large read is one of header fields rather than of `data`."""
        if self.waiter is None or not data:
            return not data
        return sum(len(name) + len(value) for name, value in self.fields) > MAX_HEAD

    def _finish(self) -> None:
        """The message is over: free the connection, or close it if it cannot carry another."""
        upload = self.uploading
        if upload is not None:
            self.uploading = None
            if not upload.done:
                self.reusable = False
                upload.stop()
        self.body = None
        if not self.reusable:
            self._close(None)
            return
        self.state = IDLE
        self.reused = True
        self._release(self)

    def _close(self, error: BaseException | None) -> None:
        if self.state == CLOSED:
            return
        unsent = self.state == WAITING or (self.uploading is not None and not self.uploading.done)
        self.state = CLOSED
        waiter, self.waiter = self.waiter, None
        body, self.body = self.body, None
        upload, self.uploading = self.uploading, None
        self._parser = self.hearer = None  # they hold on to this connection, and to an exchange
        if unsent and not self.transport.is_closing():
            reset_on_close(self.transport)
        self.transport.abort()
        error = error or ConnectionAbortedError("the connection was closed")
        if upload is not None:
            upload.stop()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        if body is not None:
            if self.complete:
                body.end()
            else:
                body.fail(error)
        self._release(self)

    def _bad(self, message: str) -> UpstreamError:
        return UpstreamError("upstream_protocol_error", message, phase=self.phase, sent=True)
