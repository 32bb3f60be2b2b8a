"""Ranges of bytes: what is wanted of a whole, what a part is of it, how parts become one (RFC 9110 §14, §15.3.7)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from llmproxy_httpcache.dates import parse_date
from llmproxy_httpcache.terms import MENDED, Terms

_SPEC: Final = re.compile(rb"bytes[ \t]*=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)
_CONTENT: Final = re.compile(rb"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)

#: Seconds by which an answer must be younger than its Last-Modified for that to tell bytes apart (RFC 9110 §8.8.2.2).
_SURE: Final = 60


class Wanted(NamedTuple):
    """The one range that a request wants: from `first` to `last`, or the last bytes, `suffix` of them."""

    first: int | None
    last: int | None
    suffix: int = 0

    def within(self, total: int) -> Span | None:
        """Return the places that it has in a whole of that length; None if there are none."""
        if self.first is None:
            return Span(max(0, total - self.suffix), total - 1) if self.suffix and total else None
        last = total - 1 if self.last is None else min(self.last, total - 1)
        return Span(self.first, last) if self.first <= last else None


class Span(NamedTuple):
    """Bytes from place `first` to place `last`, both of them included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.last - self.first + 1

    def holds(self, other: Span) -> bool:
        """Whether it has all bytes of another."""
        return self.first <= other.first and other.last <= self.last


class Place(NamedTuple):
    """Where a part stands: its span, and the length of the whole where it is known."""

    span: Span
    total: int | None


def wanted(value: bytes) -> Wanted | None:
    """Read a Range field; None for what is none, or for several ranges, which the whole answers as well."""
    match = _SPEC.fullmatch(value.strip())
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return Wanted(None, None, int(last)) if last else None
    if last and int(last) < int(first):
        return None
    return Wanted(int(first), int(last) if last else None)


def place_of(value: bytes | None) -> Place | None:
    """Read a Content-Range field; None for what is none or contradicts itself."""
    match = _CONTENT.fullmatch(value.strip()) if value is not None else None
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == b"*" else int(match[3])
    if last < first or (total is not None and last >= total):
        return None
    return Place(Span(first, last), total)


def content_range(span: Span, total: int | None) -> bytes:
    """Write a Content-Range."""
    return b"bytes %d-%d/%b" % (span.first, span.last, b"*" if total is None else b"%d" % total)


def mended(place: Place, size: int, asked: Wanted | None) -> Place | None:
    """Return where a part stands of which more or fewer bytes came than its Content-Range says; None if unknown.

    Only one case is clear: the last bytes were asked for, as many came as were asked for, and the part is said to
    reach the end. Then what came ends where the whole ends. Its first place is taken as told, and the rest follows
    from what came, so that no range that is served of it lacks a byte of those it announces. Such a part is never
    put together with another.
    """
    last = asked is not None and asked.first is None and asked.suffix == size and size > 0
    if not last or place.total is None or place.span.last != place.total - 1:
        return None
    end = place.span.first + size
    return Place(Span(place.span.first, end - 1), end)


def still_same(if_range: bytes | None, terms: Terms, now: float) -> bool:
    """Whether an If-Range lets a range of this answer be served: only strong validators do (RFC 9110 §13.1.5)."""
    if if_range is None:
        return True
    value = if_range.strip()
    if value.startswith((b'"', b"W/")):
        return bool(terms.strong) and value == terms.strong
    moment = parse_date(value, now)
    sure = terms.modified_at is not None and terms.date - terms.modified_at >= _SURE
    return sure and moment is not None and moment == terms.modified_at


def cut(body: bytes | memoryview, start: int, span: Span) -> bytes | memoryview:
    """Return the bytes of a span, from a body whose first byte has place `start`; a view stays one."""
    return body[span.first - start : span.last - start + 1]


def continues(stored: Terms, etag: bytes, place: Place) -> bool:
    """Whether a new part is of the same whole as the stored one and goes on where that ends, or before."""
    return (
        bool(stored.strong)
        and etag == stored.strong
        and not stored.flags & MENDED
        and (place.total is None or stored.total is None or place.total == stored.total)
        and stored.first <= place.span.first <= stored.last + 1
    )


def join(stored: bytes | memoryview, first: int, new: bytes, place: Span) -> bytes:
    """Put two parts together; where they overlap the new one counts."""
    return b"".join((stored[: place.first - first], new, stored[place.last + 1 - first :]))
