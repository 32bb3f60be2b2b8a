"""The plain request: its whole head in one read, nothing rare in it, its body announced by a length.

Nearly every request of a program is one, and httptools reads it for half of what aiohttp's parser costs. Whatever is
not plain is declined, which is always right: aiohttp's parser, which has seen no byte of the connection until then,
reads that and all that follows. What both read they read alike (a property of the tests).
"""

from __future__ import annotations

from types import SimpleNamespace

import httptools

from llmproxy.messages import Headers, RawHeader

_METHODS = {name.encode(): name for name in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")}

# What changes the framing or the connection, or what llhttp takes for such a field.
_RARE = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"proxy-connection", b"sec-websocket-key1"})

_MOST_FIELDS = 128
#: Digits of a length: what fits in any integer on the way.
_MOST_DIGITS = 15

# One for the beginning of a request, one for the end of its head.
_MARKS = (None, None)


class PlainRequest:
    """A request's head and `body`, as far as it has come: `missing` bytes of it have not."""

    __slots__ = ("body", "headers", "method", "missing", "path")

    # What a RawRequestMessage of aiohttp says of any request like this one.
    version = (1, 1)
    should_close = upgrade = chunked = False

    def __init__(self, method: str, path: str, headers: Headers, body: bytes, missing: int) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.missing = missing


class PlainReader:
    """Reads plain requests, each from one read. Once it has declined something it must not be asked again."""

    __slots__ = ("_fields", "_heard", "_limit", "_marks", "_parser", "_parts")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._fields: list[RawHeader] = []
        self._marks: list[None] = [*_MARKS]
        add, take_mark = self._fields.append, self._marks.pop
        self._heard = SimpleNamespace(
            on_message_begin=take_mark,  # of a second request too, which finds no mark and so ends the reading
            on_url=self._parts.append,
            on_header=lambda name, value: add((name, value.rstrip(b" \t"))),
            on_headers_complete=take_mark,
            on_body=self._parts.append,
        )
        self._parser = httptools.HttpRequestParser(self._heard)

    def read(self, data: bytes) -> PlainRequest | None:
        """Return the request that stands in `data`, or None if anything else does."""
        if len(data) > self._limit and not 0 < data.find(b"\r\n\r\n") < self._limit:
            return None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return None
        if self._marks:
            return None
        self._marks += _MARKS
        fields, parts = self._fields.copy(), self._parts
        self._fields.clear()
        target, body = parts[0], parts[1] if len(parts) == 2 else b"".join(parts[1:])
        parts.clear()
        headers = Headers(fields)
        headers.index = index = {name.lower(): value for name, value in fields}
        method = _METHODS.get(self._parser.get_method())
        length = _length(index)
        if method is None or length < 0 or len(index) != len(fields) or len(fields) > _MOST_FIELDS:
            return None
        version_at = len(method) + 1 + len(target)
        if target[:1] != b"/" or not target.isascii() or not data.startswith(b" HTTP/1.1\r\n", version_at):
            return None
        missing = length - len(body)
        if missing:
            # The rest is counted, not parsed.
            self._parser = httptools.HttpRequestParser(self._heard)
        return PlainRequest(method, target.decode("ascii"), headers, body, missing)


def _length(index: dict[bytes, bytes]) -> int:
    """Return the length of the body that a head announces; -1 if anything in it is rare."""
    if b"host" not in index or not _RARE.isdisjoint(index):
        return -1
    if b"connection" in index and index[b"connection"].lower() != b"keep-alive":
        return -1
    length = index.get(b"content-length")
    if length is None:
        return 0
    return int(length) if length.isdigit() and len(length) <= _MOST_DIGITS else -1
