"""Bodies that may be changed: whole, plain, JSON and not too large. Any other is refused, never let past."""

from __future__ import annotations

import zlib
from typing import Final

from llmproxy.plugin import (
    BadRequest,
    Body,
    BodyTooLarge,
    Edit,
    Exchange,
    GatewayError,
    Headers,
    Reply,
)

#: Methods whose requests need no body.
_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_WINDOWS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 47}
#: Fields that are true of the upstream's bytes alone.
_OF_BYTES: Final = (
    "content-length",
    "content-digest",
    "repr-digest",
    "digest",
    "content-md5",
    "accept-ranges",
)


async def request_body(exchange: Exchange, limit: int) -> bytes | None:
    """Return the caller's body; None where there is none and none is needed.

    Raises:
        BadRequest: it is too large (413), no JSON by its type, or compressed (415).
    """
    headers = exchange.request.headers
    if int(headers.get("content-length") or 0) > limit:
        raise _too_large(limit)
    body = await exchange.body()
    if len(body) > limit:
        raise _too_large(limit)
    if not body and exchange.request.method in _BODILESS:
        return None
    if not is_json(headers) or headers.has(b"content-encoding"):
        message = "This route takes plain JSON, as application/json."
        raise BadRequest("unsupported_media_type", message, status=415)
    return body


async def reply_body(reply: Reply, limit: int) -> bytes:
    """Return an answer's body, plain.

    Raises:
        GatewayError: it is too large, no JSON by its type, or cannot be read.
    """
    if not is_json(reply.headers):
        raise _unreadable("is no JSON")
    body = reply.body
    try:
        data = await body.read(limit) if isinstance(body, Body) else bytes(body)
    except BodyTooLarge:
        raise _unreadable(f"is larger than {limit} bytes") from None
    if len(data) > limit:
        raise _unreadable(f"is larger than {limit} bytes")
    coding = reply.headers.get("content-encoding")
    return data if coding is None else _plain(data, coding.strip().lower().encode(), limit)


def put_body(reply: Reply, body: bytes, *, changed: bool) -> None:
    """Put a plain body in place of an answer's; what the upstream said of its bytes goes, if they are others now."""
    headers = reply.headers
    reply.body = body
    if headers.has(b"content-encoding"):
        headers.remove("content-encoding")
        changed = True
    if not changed:
        return
    for name in _OF_BYTES:
        headers.remove(name)
    etag = headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        # The same in meaning, not in bytes (RFC 9110 §8.8.1).
        headers.set("ETag", "W/" + etag)


def difference(before: bytes, after: bytes) -> Edit | None:
    """Return the one range in which two bodies differ, None where they do not: what stands before it stays as it is."""
    if before == after:
        return None
    shorter = min(len(before), len(after))
    start = _common(before, after, shorter)
    end = _common(before[start:][::-1], after[start:][::-1], shorter - start)
    return Edit(start, len(before) - end, after[start : len(after) - end])


def _common(one: bytes, other: bytes, most: int) -> int:
    """Return how many first bytes two texts share; by halves, as comparing slices is quick."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def is_json(headers: Headers) -> bool:
    """Whether the content type says JSON (RFC 8259, or another type's `+json`, RFC 6839)."""
    kind = headers.index.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return kind == b"application/json" or kind.endswith(b"+json")


def _plain(data: bytes, coding: bytes, limit: int) -> bytes:
    if coding == b"identity":
        return data
    window = _WINDOWS.get(coding)
    if window is None:
        raise _unreadable("is compressed in a way that is not known here")
    decoder = zlib.decompressobj(window)
    try:
        plain = decoder.decompress(data, limit + 1)
    except zlib.error:
        raise _unreadable("is compressed, and broken") from None
    if len(plain) > limit:
        raise _unreadable(f"is larger than {limit} bytes")
    if not decoder.eof:
        raise _unreadable("is compressed, and not whole")
    return plain


def _too_large(limit: int) -> BadRequest:
    message = f"The request's body is larger than {limit} bytes, which is more than this route changes."
    return BadRequest("body_too_large", message, status=413)


def _unreadable(why: str) -> GatewayError:
    return GatewayError(
        502,
        "reply_not_rewritten",
        f"The upstream's answer {why}, so it cannot be rewritten.",
    )
