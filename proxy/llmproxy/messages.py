"""What travels: headers, the caller's request, the wire request of an attempt, the reply."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

from llmproxy.body import Body

if TYPE_CHECKING:
    from llmproxy.hooks import EventTransform
    from llmproxy.sse import Event

RawHeader = tuple[bytes, bytes]
HeaderPairs = Iterable[tuple[str | bytes, str | bytes]]

# RFC 9110 §7.6.1, with the fields that travel in practice though the list there does not name them.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

#: Content types of JSON that comes line by line.
LINE_TYPES = frozenset(
    {b"application/x-ndjson", b"application/ndjson", b"application/jsonl", b"application/stream+json"}
)

#: The content type of AWS's event streams.
FRAME_TYPE = b"application/vnd.amazon.eventstream"

# RFC 9110 §5.6.2 and §5.5: what a name may be made of, and what would end a value's line early.
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LINE_BREAK = re.compile(rb"[\r\n\0]")


def is_stream(content_type: bytes) -> bool:
    """Whether a content type says a stream: of server-sent events, of JSON line by line, of frames of AWS."""
    kind = _media_type(content_type)
    return kind in (b"text/event-stream", FRAME_TYPE) or kind in LINE_TYPES


def _media_type(content_type: bytes) -> bytes:
    return content_type.partition(b";")[0].strip().lower()


class Spellings(dict[bytes, bool]):
    """Whether a header name, as it is spelled, is none of those left out; remembers a bounded number of spellings."""

    MOST = 1024

    def __init__(self, left_out: frozenset[bytes]) -> None:
        super().__init__()
        self._left_out = left_out

    def __missing__(self, name: bytes) -> bool:
        # Servers that hand fields over as variables (RFC 3875 §4.1.18) take an underscore for a hyphen.
        passes = name.lower().replace(b"_", b"-") not in self._left_out
        if len(self) < self.MOST:
            self[name] = passes
        return passes


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")


def _field(name: str | bytes, value: str | bytes) -> RawHeader:
    field, text = _bytes(name), _bytes(value)
    if _NAME.fullmatch(field) is None:
        raise ValueError(f"{name!r} cannot be the name of a header")
    if _LINE_BREAK.search(text) is not None:
        raise ValueError(f"header {name!r} holds a line break or NUL")
    return field, text


class Headers:
    """Header fields in the order and spelling they came, looked up without regard to case.

    `raw` is the list of (name, value) byte pairs; change it only through the methods. `index` holds the last value of
    each name, names in lower case.
    """

    __slots__ = ("index", "raw")

    #: Made when it is first asked for, and again after a change; from then on it costs no call.
    index: dict[bytes, bytes]

    def __init__(self, raw: Iterable[RawHeader] = ()) -> None:
        self.raw: list[RawHeader] = raw if isinstance(raw, list) else list(raw)

    def __getattr__(self, name: str) -> dict[bytes, bytes]:
        if name != "index":
            raise AttributeError(name)
        self.index = index = {field.lower(): value for field, value in self.raw}
        return index

    @classmethod
    def of(cls, pairs: HeaderPairs | dict[str, str]) -> Headers:
        """Make headers from text pairs; refuse line breaks and NUL in them."""
        headers = cls()
        for name, value in pairs.items() if isinstance(pairs, dict) else pairs:
            headers.add(name, value)
        return headers

    def has(self, name: bytes) -> bool:
        """Whether there is a field of this name, which is in lower case."""
        return name in self.index

    def get(self, name: str) -> str | None:
        """Return the last value of `name`, or None."""
        value = self.index.get(name.lower().encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    def get_all(self, name: str) -> list[str]:
        """Return every value of `name`, in order."""
        wanted = name.lower().encode("latin-1")
        return [value.decode("latin-1") for field, value in self.raw if field.lower() == wanted]

    def __contains__(self, name: str) -> bool:
        return name.lower().encode("latin-1") in self.index

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def add(self, name: str | bytes, value: str | bytes) -> None:
        """Append a field; refuse what could end the line early (RFC 9110 §5.5)."""
        field = _field(name, value)
        index = self.index
        self.raw.append(field)
        index[field[0].lower()] = field[1]

    def set(self, name: str | bytes, value: str | bytes) -> None:
        """Replace every field of this name by one."""
        field = _field(name, value)
        self.remove(name)
        self.raw.append(field)
        self.index[field[0].lower()] = field[1]

    def put(self, name: bytes, field: RawHeader) -> None:
        """Replace every field of this name, which is in lower case, by one that is known to be sound."""
        if name in self.index:
            self.remove(name)
        self.raw.append(field)
        self.index[name] = field[1]

    def remove(self, name: str | bytes) -> None:
        """Drop every field of this name."""
        wanted = _bytes(name).lower()
        if wanted in self.index:
            self.raw = [pair for pair in self.raw if pair[0].lower() != wanted]
            del self.index[wanted]

    def copy(self) -> Headers:
        """Return headers that can be changed without touching these."""
        return Headers(list(self.raw))

    def __repr__(self) -> str:
        # Values may be credentials: only names are shown.
        return f"Headers({', '.join(name.decode('latin-1') for name, _ in self.raw)})"


class ClientRequest:
    """The caller's request as it came; immutable by convention.

    `path` and `query` are as sent (still percent-encoded); `target` is both.
    """

    __slots__ = (
        "client",
        "headers",
        "host",
        "listener",
        "method",
        "path",
        "query",
        "scheme",
        "target",
        "version",
    )

    def __init__(  # one field each, built on the hot path
        self,
        method: str,
        target: str,
        headers: Headers,
        scheme: str = "http",
        host: str = "",
        client: str = "",
        listener: str = "",
        version: str = "1.1",
    ) -> None:
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.scheme = scheme
        self.host = host
        self.client = client
        self.listener = listener
        self.version = version

    def parameters(self) -> dict[str, str]:
        """Return the query's parameters, decoded; the last of a name wins."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


class UpstreamRequest:
    """The wire request of one attempt; `transform_request` may change it.

    `key` says which of the upstream's keys it is sent with: a number, counted from 0. `attempt` is the attempt's number;
    `sent` becomes true when the first byte of it may leave. The target is below the base URL's path, or, of one that is
    `rooted`, below its host.
    """

    __slots__ = ("attempt", "body", "headers", "key", "method", "rooted", "sent", "target")

    def __init__(self, method: str, target: str, headers: Headers, body: bytes | Body = b"") -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.key = 0
        self.attempt = 0
        self.sent = self.rooted = False


class Reply:
    """An answer: a status, headers, and a body that is whole (bytes) or still coming (Body)."""

    __slots__ = ("body", "headers", "status", "transform")

    def __init__(self, status: int, headers: Headers | None = None, body: bytes | Body = b"") -> None:
        self.status = status
        self.headers = headers if headers is not None else Headers()
        self.body = body
        #: On an upgrade, what plugins do to its messages.
        self.transform: EventTransform | None = None

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
        """Answer with `value` as JSON."""
        fields = Headers([(b"Content-Type", b"application/json")])
        for name, text in (headers or {}).items():
            fields.set(name, text)
        return cls(status, fields, orjson.dumps(value))

    @classmethod
    def text(cls, text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Reply:
        """Answer with text."""
        return cls(status, Headers.of({"Content-Type": content_type}), text.encode())

    @classmethod
    def events(cls, events: AsyncIterator[Event], status: int = 200) -> Reply:
        """Answer with a server-sent event stream; the iterator is closed if the caller leaves."""
        fields = Headers.of({"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        return cls(status, fields, Body.pumped(_Encoded(events)))

    @property
    def streamed(self) -> bool:
        """Whether the body is still coming."""
        return isinstance(self.body, Body)

    @property
    def is_event_stream(self) -> bool:
        """Whether the content type says server-sent events."""
        return self.headers.index.get(b"content-type", b"")[:17].lower() == b"text/event-stream"

    @property
    def is_line_stream(self) -> bool:
        """Whether the content type says JSON, line by line."""
        kind = self.headers.index.get(b"content-type", b"")
        return kind in LINE_TYPES or _media_type(kind) in LINE_TYPES

    @property
    def is_frame_stream(self) -> bool:
        """Whether the content type says frames of AWS."""
        return self.headers.index.get(b"content-type", b"")[: len(FRAME_TYPE)].lower() == FRAME_TYPE

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream of any of these kinds."""
        return self.is_event_stream or self.is_line_stream or self.is_frame_stream

    def __repr__(self) -> str:
        return f"<Reply {self.status} {'streamed' if self.streamed else f'{len(self.body)} bytes'}>"  # type: ignore[arg-type]


class _Encoded:
    """The bytes of events; unlike a generator expression it closes what it reads, even before the first event."""

    __slots__ = ("_events",)

    def __init__(self, events: AsyncIterator[Event]) -> None:
        self._events = events

    def __aiter__(self) -> _Encoded:
        return self

    async def __anext__(self) -> bytes:
        event = await anext(self._events)
        return event.encode()

    async def aclose(self) -> None:
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()


class StoredReply:
    """A complete reply that may outlive its exchange: what `cache_store` gets.

    Frozen: a store may hand the same object to many exchanges.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Iterable[RawHeader], body: bytes) -> None:
        self.status = status
        self.headers: tuple[RawHeader, ...] = tuple(headers)
        self.body = body

    def replay(self) -> Reply:
        """Return a fresh reply with the stored status, headers and body."""
        return Reply(self.status, Headers(list(self.headers)), self.body)

    def __repr__(self) -> str:
        return f"<StoredReply {self.status} {len(self.body)} bytes>"
