"""A reply as httptools reads it: the head's fields, the pieces of the body, the end."""

from __future__ import annotations

from collections import deque
from collections.abc import MutableSequence
from typing import Any, Protocol

import httptools

from llmproxy.messages import RawHeader

CLOSED, IDLE, WAITING, READING = range(4)

#: Where trailer fields go: they must not become header fields (RFC 9110 §6.5.1), and nobody asks for them.
_NOWHERE: deque[RawHeader] = deque(maxlen=0)


class Desync(Exception):
    """The upstream sent bytes that belong to no request."""


class Hearer(Protocol):
    """Whoever is told of interim replies."""

    def interim(self, status: int, fields: list[RawHeader]) -> None:
        """Take one; never raises."""


class ReplyReader:
    """The parser's half of a connection.

    `hearer` is told of the next reply's interim ones. `complete` and `reusable` say that the message is over, and that
    another may follow on the connection.
    """

    __slots__ = (
        "_fields",
        "_head_only",
        "_parser",
        "_pieces",
        "_void",
        "complete",
        "fields",
        "hearer",
        "reusable",
        "state",
        "status",
    )

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._fields: MutableSequence[RawHeader] = _NOWHERE
        self._pieces: list[bytes] = []
        self._head_only = False
        self._void = 0
        self.state = CLOSED
        self.hearer: Hearer | None = None
        self.status = 0
        self.fields: list[RawHeader] = []
        self.complete = False
        self.reusable = False

    def expect(self, *, head_only: bool) -> None:
        """Get ready for a reply; `head_only` says that no body follows (HEAD)."""
        if self._head_only:
            # The parser still waits for the body that its last reply announced and did not bring.
            self._parser = httptools.HttpResponseParser(self)
        self._head_only = head_only
        self._fields = []
        self._void = 0
        self.complete = self.reusable = False
        self.state = WAITING

    @property
    def silent(self) -> bool:
        """Whether nothing of the reply has come."""
        return self._void == 0

    @property
    def framed(self) -> bool:
        """Whether the head says how the body ends; if not, the end of the connection does (RFC 9112 §6.3)."""
        last = {name.lower(): value for name, value in self.fields}
        coding = last.get(b"transfer-encoding")
        if coding is not None:
            # A coding that nobody knows, not cut into chunks, ends with the connection too.
            return coding.lower().rpartition(b",")[2].strip() == b"chunked"
        return b"content-length" in last

    # httptools callbacks

    def on_message_begin(self) -> None:
        if self.state != WAITING:
            raise Desync

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = status = self._parser.get_status_code()
        if status < 200:
            # RFC 9110 §15.2: interim replies precede the real one. 100 would answer what no request here asks.
            fields, self._fields = self._fields, []
            if self.hearer is not None and status > 101:
                self.hearer.interim(status, fields)  # type: ignore[arg-type]
            return
        self.hearer = None
        # Here the fields are a list still.
        self.fields, self._fields = self._fields, _NOWHERE  # type: ignore[assignment]
        self.state = READING
        if self._head_only:
            self.complete = True
            self.reusable = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if self._head_only:
            raise Desync
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self.state == READING:
            self.complete = True
            # Asked here, as the parser forgets the message once this returns.
            self.reusable = self._parser.should_keep_alive()
