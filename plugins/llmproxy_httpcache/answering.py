"""A caller's own reply out of an answer: whole, cut, or only the word that it has not changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from llmproxy.plugin import Headers, Reply, StoredHeaders
from llmproxy_httpcache.dates import parse_date
from llmproxy_httpcache.headers import RawHeader
from llmproxy_httpcache.plan import Stored
from llmproxy_httpcache.ranges import Span, content_range, cut, still_same, wanted
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.terms import PART, Terms
from llmproxy_httpcache.validating import not_modified, unchanged


def from_store(
    asked: Asked, stored: Stored, age: int, status: bytes, now: float, told: Sequence[RawHeader] = ()
) -> Reply:
    """Return the reply that a stored answer gives a caller.

    `status` is what Cache-Status says, `told` what caches behind this one are told.
    """
    entry = stored.entry
    added = [(b"Age", b"%d" % age), (b"Cache-Status", status), *told]
    # A view is sent as it is; whoever changes bodies gets bytes when asking for them.
    body = cast("bytes", entry.body)
    if asked.plain and asked.method != "HEAD":
        return Reply(entry.status, StoredHeaders(entry.fields, added), body)
    if asked.method == "HEAD":
        added.append((b"Content-Length", b"%d" % len(body)))
    reply = Reply(entry.status, StoredHeaders(entry.fields, added), body)
    return tailored(asked, reply, stored.terms, now)


def tailored(asked: Asked, reply: Reply, terms: Terms, now: float) -> Reply:
    """Return what the caller's conditions and range make of a whole reply; the reply itself if they change nothing."""
    if reply.status != 200:
        return reply
    if asked.conditional and unchanged(asked, terms, now):
        return Reply(304, Headers(not_modified(reply.headers.raw)))
    if asked.range is None or not isinstance(reply.body, bytes | memoryview):
        return reply
    return _ranged(asked, reply, terms, now)


def _ranged(asked: Asked, reply: Reply, terms: Terms, now: float) -> Reply:
    range_, body = wanted(asked.range or b""), cast("bytes", reply.body)
    if range_ is None or not still_same(asked.if_range, terms, now):
        return reply
    span = range_.within(len(body))
    if span is None:
        fields = [pair for pair in reply.headers.raw if pair[0].lower() in {b"date", b"age", b"cache-status"}]
        return Reply(416, Headers([*fields, (b"Content-Range", b"bytes */%d" % len(body))]))
    return _cut(reply.headers.raw, body, 0, span, len(body))


def part_of(  # as from_store
    asked: Asked, stored: Stored, age: int, status: bytes, now: float, told: Sequence[RawHeader] = ()
) -> Reply | None:
    """Return the range that a caller wants, out of a stored part; None if the part has not got all of it."""
    terms, entry = stored.terms, stored.entry
    range_ = wanted(asked.range or b"")
    if range_ is None or not terms.flags & PART or not still_same(asked.if_range, terms, now):
        return None
    if terms.total is None and (range_.first is None or range_.last is None):
        return None  # where the whole ends is not known
    span = range_.within(terms.last + 1 if terms.total is None else terms.total)
    if span is None or not Span(terms.first, terms.last).holds(span):
        return None
    fields = [*entry.headers, (b"Age", b"%d" % age), (b"Cache-Status", status), *told]
    return _cut(fields, entry.body, terms.first, span, terms.total)


def _cut(
    fields: list[RawHeader], body: bytes | memoryview, start: int, span: Span, total: int | None
) -> Reply:
    kept = [pair for pair in fields if pair[0].lower() != b"content-range"]
    headers = Headers([*kept, (b"Content-Range", content_range(span, total))])
    return Reply(206, headers, cast("bytes", cut(body, start, span)))


def facts_of(reply: Reply, now: float) -> Terms:
    """Return what conditions are judged by, of an answer whose terms are not at hand."""
    last = reply.headers.index
    modified = last.get(b"last-modified", b"")
    date = parse_date(last.get(b"date", b""), now)
    return Terms(
        0,
        0.0,
        now,
        etag=last.get(b"etag", b""),
        modified=modified,
        modified_at=parse_date(modified, now),
        date=int(now) if date is None else date,
    )
