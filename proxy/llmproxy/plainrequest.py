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

_NONE = -(1 << 62)

#: Heads that are remembered as they were read, and how long they may be: half a megabyte at most.
_REMEMBERED = 256
_LONGEST = 1024


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
    """Reads plain requests, each from one read, for any number of connections.

    A program sends the same head again and again, but for the length of the body: what came before, byte for byte, is
    not parsed again.
    """

    __slots__ = ("_dirty", "_fields", "_heard", "_known", "_limit", "_parser", "_targets")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._targets: list[bytes] = []
        self._fields: list[RawHeader] = []
        add = self._fields.append
        self._heard = SimpleNamespace(
            on_url=self._targets.append,
            on_header=lambda name, value: add((name, value.rstrip(b" \t"))),
        )
        self._parser = httptools.HttpRequestParser(self._heard)
        self._dirty = False
        #: Method, target, fields, their index and the body's length, by the head that they were read of.
        self._known: dict[bytes, tuple[str, str, list[RawHeader], dict[bytes, bytes], int]] = {}

    def read(self, data: bytes) -> PlainRequest | None:
        """Return the request that stands in `data`, or None if anything else does."""
        end = data.find(b"\r\n\r\n") + 4
        if not 4 < end <= self._limit:
            return None
        head = data[:end]
        known = self._known.get(head)
        if known is None:
            return self._parse(data, head)
        method, path, fields, index, length = known
        missing = end + length - len(data)
        if missing < 0:
            return None
        headers = Headers(fields.copy())
        headers.index = index.copy()
        return PlainRequest(method, path, headers, data[end:], missing)

    def _parse(self, data: bytes, head: bytes) -> PlainRequest | None:
        end = len(head)
        if self._dirty:
            self._forget()
        self._dirty = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return None
        headers, targets = Headers(self._fields.copy()), self._targets
        self._fields.clear()
        headers.index = index = {name.lower(): value for name, value in headers.raw}
        method = _METHODS.get(self._parser.get_method())
        length = _length(index, len(headers.raw))
        missing = end + length - len(data)
        if method is None or missing < 0 or len(targets) != 1:
            return None
        target = targets.pop()
        version_at = len(method) + 1 + len(target)
        if target[:1] != b"/" or not target.isascii() or not data.startswith(b" HTTP/1.1\r\n", version_at):
            return None
        # What is missing is counted, not parsed.
        self._dirty = missing > 0
        path = target.decode("ascii")
        if end <= _LONGEST:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[head] = method, path, headers.raw.copy(), index.copy(), length
        return PlainRequest(method, path, headers, data[end:], missing)

    def _forget(self) -> None:
        """Be ready for another request, whatever was read."""
        self._fields.clear()
        self._targets.clear()
        self._parser = httptools.HttpRequestParser(self._heard)


def _length(index: dict[bytes, bytes], count: int) -> int:
    """Return the length of the body that a head of `count` fields announces; less than none if anything is rare."""
    if len(index) != count or count > _MOST_FIELDS or b"host" not in index or not _RARE.isdisjoint(index):
        return _NONE
    if b"connection" in index and index[b"connection"].lower() != b"keep-alive":
        return _NONE
    length = index.get(b"content-length")
    if length is None:
        return 0
    return int(length) if length.isdigit() and len(length) <= _MOST_DIGITS else _NONE
