"""A request's body on its way into an upstream connection, and the back-pressure of both directions."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
from typing import TYPE_CHECKING, cast

from llmproxy.replyreader import IDLE, ReplyReader

if TYPE_CHECKING:
    from llmproxy.body import Body


class Upload:
    """The sink that streams a body into a connection, no faster than the upstream takes it.

    `touched` is when the last piece left, `stuck` since when the upstream takes no more (0: it does); both are of the
    loop's clock.
    """

    __slots__ = ("_body", "_chunked", "_connection", "_loop", "done", "stuck", "touched")

    def __init__(self, connection: Carrier, body: Body, *, chunked: bool) -> None:
        self._connection = connection
        self._body = body
        self._chunked = chunked
        self._loop = asyncio.get_running_loop()
        self.touched = self._loop.time()
        self.stuck = 0.0
        self.done = False

    def feed(self, data: bytes) -> None:
        """Write one piece."""
        if self.done:
            return
        self.touched = self._loop.time()
        write = self._connection.transport.write
        write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self) -> None:
        """Write what ends the body."""
        if not self.done:
            self.done = True
            self.touched = self._loop.time()
            if self._chunked:
                self._connection.transport.write(b"0\r\n\r\n")

    def fail(self, error: BaseException) -> None:
        """Break the request off as the caller did, or the upstream would take it for whole."""
        if not self.done:
            self.done = True
            self._connection.abort(error)

    def pause(self) -> None:
        """Stop reading from the caller."""
        self.stuck = self._loop.time()
        self._body.pause(self)

    def resume(self) -> None:
        """Go on reading from the caller."""
        self.stuck = 0.0
        self._body.resume(self)

    def stop(self) -> None:
        """Take no more: the upstream has answered already, or is gone."""
        if not self.done:
            self.done = True
            self._body.detach(self)


class Carrier(ReplyReader, asyncio.Protocol):
    """A connection as far as it carries bytes: its transport, the upload, the pauses.

    `touched` is when the last bytes came, on the loop's clock.
    """

    __slots__ = ("_loop", "touched", "transport", "uploading")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.uploading: Upload | None = None
        self.touched = 0.0

    @property
    def ready(self) -> bool:
        """Whether it can carry a message now."""
        return self.state == IDLE and not self.transport.is_closing()

    def unread(self) -> bool:
        """Whether bytes, or the connection's end, wait in the kernel where the loop has not seen them yet."""
        look = select.poll()
        look.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(look.poll(0))

    def abort(self, error: BaseException | None = None) -> None:
        """Close at once."""
        raise NotImplementedError

    def upload(self, body: Body, *, chunked: bool) -> None:
        """Stream the rest of the request's body, with back-pressure."""
        self.uploading = Upload(self, body, chunked=chunked)
        body.attach(self.uploading)

    def pause_writing(self) -> None:
        if self.uploading is not None:
            self.uploading.pause()

    def resume_writing(self) -> None:
        if self.uploading is not None:
            self.uploading.resume()

    def _pause(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _resume(self) -> None:
        if not self.transport.is_closing() and not self.transport.is_reading():
            self.touched = self._loop.time()
            self.transport.resume_reading()


def reset_on_close(transport: asyncio.BaseTransport) -> None:
    """Let the connection end with a reset: the end of an orderly one would wait behind what the peer does not read."""
    shown = transport.get_extra_info("socket")
    if shown is not None and shown.fileno() >= 0:
        with socket.socket(
            fileno=os.dup(shown.fileno())
        ) as sock:  # uvloop shows a socket that takes no options
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
