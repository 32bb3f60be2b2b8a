"""An upload whose caller waits to be told that it is wanted (RFC 9110 §10.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.body import Body
from llmproxy.client import take_upload

if TYPE_CHECKING:
    from aiohttp import StreamReader

    from llmproxy.exchange import Exchange
    from llmproxy.server import ClientConnection


class Expected:
    """Says `100 Continue` when somebody first reads `body`, and never after the reply has begun.

    So a request that is refused by its headers alone is not uploaded at all.
    """

    def __init__(self, connection: ClientConnection, exchange: Exchange, payload: StreamReader) -> None:
        self._connection = connection
        self._exchange = exchange
        self._payload = payload
        self._source: Body | None = None
        self.body = Body(self._pause, self._resume, self._abandon)
        # Taken back by the body itself when its first sink comes.
        self.body.pause(self.body)

    def _pause(self) -> None:
        if self._source is not None:
            self._source.pause(self)

    def _resume(self) -> None:
        if self._source is not None:
            self._source.resume(self)
        elif self._exchange.outcome.first_byte_at is None and self._connection.transport is not None:
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            upload = take_upload(self._payload, self._connection.front.settings.body_timeout)
            if isinstance(upload, Body):
                self._source = upload
                upload.attach(self)
            else:
                self.body.feed(upload)
                self.body.end()

    def _abandon(self) -> None:
        if self._source is not None:
            self._source.detach(self)
        else:
            self.body.fail(ConnectionAbortedError("the upload was not asked for"))

    def feed(self, data: bytes) -> None:
        """Take one piece."""
        self.body.feed(data)

    def end(self) -> None:
        """The upload is complete."""
        self.body.end()

    def fail(self, error: BaseException) -> None:
        """The upload broke off."""
        self.body.fail(error)
