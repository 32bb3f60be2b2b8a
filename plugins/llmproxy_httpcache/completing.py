"""A part that is stored, completed by the rest (RFC 9111 §3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.plugin import Body, Headers, Reply
from llmproxy_httpcache.headers import Fields, RawHeader
from llmproxy_httpcache.ranges import continues, join, place_of
from llmproxy_httpcache.terms import Terms
from llmproxy_httpcache.validating import freshened, origins

if TYPE_CHECKING:
    from llmproxy_httpcache.plan import Stored


def completion(terms: Terms, limit: int, *, unvalidated: bool) -> list[RawHeader] | None:
    """Return the fields that ask for the rest of a stored part; None if it is not worth it, or not safe."""
    if terms.first or terms.total is None or terms.total > limit or terms.last + 1 >= terms.total:
        return None
    rest = (b"Range", b"bytes=%d-" % (terms.last + 1))
    if terms.strong:
        return [rest, (b"If-Range", terms.strong)]
    return [rest] if unvalidated else None


async def completed(part: Stored, reply: Reply, limit: int) -> Reply | None:
    """Return the whole that a stored part and the upstream's rest make; None if they do not fit."""
    told = Fields(reply.headers.raw, reply.headers.index)
    place = place_of(told.get(b"content-range"))
    if place is None or not continues(part.terms, told.last.get(b"etag", b""), place):
        return None
    rest = await reply.body.read(limit) if isinstance(reply.body, Body) else reply.body
    total = place.total if part.terms.total is None else part.terms.total
    if len(rest) != place.span.size or total is None or place.span.last + 1 != total:
        return None
    fields = freshened(origins(part), told.raw)
    kept = [pair for pair in fields if pair[0].lower() != b"content-range"]
    return Reply(200, Headers(kept), join(part.entry.body, part.terms.first, rest, place.span))
