"""The bytes of a provider's whole answer, and what its type does not say of them.

Servers, and proxies before them, call a stream of events JSON, text or bytes, and mark JSON as no JSON is marked.
"""

from __future__ import annotations

import re
from typing import Final

from llmproxy.body import Body, BodyTooLarge
from llmproxy.errors import UpstreamError
from llmproxy.inflate import Inflate
from llmproxy.lanes import run_whole
from llmproxy.messages import Headers, Reply

#: Bytes of a whole answer, or of a stream, that are read to be translated; and of an error.
MOST: Final = 64 * 1024 * 1024
_MOST_OF_AN_ERROR: Final = 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"
#: How no JSON begins, and server-sent events do: with a field, or with a comment.
_EVENTS: Final = re.compile(rb"\s*(?:data|event|id|retry)?:")
_OF_THE_BODY: Final = (b"content-type", b"content-length", b"content-encoding")


async def whole(reply: Reply, most: int = 0) -> bytes:
    """Return a reply's body without its coding, and without a byte order mark, which JSON may not have (RFC 8259 §8.1).

    Raises:
        UpstreamError: it is larger than `most` (or `MOST`), or not in the coding that it says.
    """
    most = most or MOST
    coding = reply.headers.index.get(b"content-encoding", b"identity")
    body = reply.body
    try:
        data = await body.read(most) if isinstance(body, Body) else body
    except BodyTooLarge:
        raise too_large(most) from None
    if coding != b"identity":
        try:
            data = run_whole([Inflate(coding)], data)
        except ValueError as fault:
            raise unreadable() from fault
    return data.removeprefix(_BOM)


async def told_why(reply: Reply) -> bytes:
    """Return an error's body, or nothing where it is no message for a caller; its status tells as much."""
    try:
        return await whole(reply, _MOST_OF_AN_ERROR)
    except UpstreamError as fault:
        if fault.code not in ("upstream_too_large", "upstream_bad_answer"):
            raise
        return b""


def is_events(body: bytes) -> bool:
    """Say whether a body is a stream of events, whatever its type says."""
    return _EVENTS.match(body) is not None


def as_events(reply: Reply, body: bytes) -> Reply:
    """Return a reply as the stream of events that its body is."""
    kept = [pair for pair in reply.headers.raw if pair[0].lower() not in _OF_THE_BODY]
    return Reply(reply.status, Headers([(b"Content-Type", b"text/event-stream"), *kept]), body)


def too_large(most: int) -> UpstreamError:
    """Return the error for an answer beyond its bound."""
    message = f"The provider's answer is larger than {most} bytes."
    return UpstreamError("upstream_too_large", message, phase="body", sent=True)


def unreadable() -> UpstreamError:
    """Return the error for an answer that is not of its dialect."""
    message = "The provider's answer could not be read as its dialect."
    return UpstreamError("upstream_bad_answer", message, phase="body", sent=True)
