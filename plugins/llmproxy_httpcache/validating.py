"""Validation, both ways: callers' conditions judged here, ours sent to the origin, what its 304 changes.

RFC 9110 §13, RFC 9111 §4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from llmproxy_httpcache.dates import parse_date
from llmproxy_httpcache.headers import Fields, RawHeader, storable
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.terms import OWN_ETAG, Terms
from llmproxy_httpcache.vary import members

if TYPE_CHECKING:
    from llmproxy_httpcache.plan import Stored

# What describes the stored bytes, and so is not for a 304 to change (RFC 9111 §3.2).
_OF_THE_BYTES: Final = frozenset({b"content-encoding", b"content-length", b"content-range", b"content-type"})

#: The fields of an answer that its 304 must have too (RFC 9110 §15.4.5), and those that say how it was cached.
_IN_304: Final = frozenset(
    b"""
    cache-control content-location date etag expires vary last-modified age cache-status cdn-cache-control
    surrogate-key cache-tag
    """.split()
)

#: Entity tags that one request names: those of the variants stored last.
MOST_TAGS: Final = 8


def opaque(tag: bytes) -> bytes:
    """Return an entity tag without its mark of weakness: what weak comparison compares (RFC 9110 §8.8.3.2)."""
    return tag[2:] if tag[:2] == b"W/" else tag


def names_tag(listed: bytes, etag: bytes) -> bool:
    """Whether an If-None-Match names an entity tag."""
    if listed.strip() == b"*":
        return True
    return bool(etag) and opaque(etag) in {opaque(member) for member in members(listed)}


def unchanged(asked: Asked, terms: Terms, now: float) -> bool:
    """Whether the caller's conditions say that it has this answer already (RFC 9110 §13.2.2)."""
    if asked.none_match is not None:
        return names_tag(asked.none_match, terms.etag)
    if asked.modified_since is None:
        return False
    since = parse_date(asked.modified_since, now)
    # Where the origin says nothing of changes, the answer itself dates from its making (RFC 9111 §4.3.2).
    modified = terms.date if terms.modified_at is None else terms.modified_at
    return since is not None and modified <= since


def conditions(terms: Terms, others: Sequence[bytes] = ()) -> list[RawHeader]:
    """Return the fields that ask whether a stored answer still holds; `others` are entity tags of further variants."""
    tags = list(dict.fromkeys(tag for tag in (terms.origin_etag, *others) if tag))[:MOST_TAGS]
    fields = [(b"If-None-Match", b", ".join(tags))] if tags else []
    # A date would be true of one variant only.
    if terms.modified and not others:
        fields.append((b"If-Modified-Since", terms.modified))
    return fields


def only_tags(tags: Sequence[bytes]) -> list[RawHeader]:
    """Return the condition that names variants of which none fits as it stands (RFC 9111 §4.1)."""
    return [(b"If-None-Match", b", ".join(tags[:MOST_TAGS]))] if tags else []


def freshened(stored: Sequence[RawHeader], told: Sequence[RawHeader]) -> list[RawHeader]:
    """Return the stored fields as a 304, or the answer to a HEAD, updates them (RFC 9111 §3.2)."""
    news = [pair for pair in storable(told) if pair[0].lower() not in _OF_THE_BYTES]
    replaced = {name.lower() for name, _ in news}
    # What is confirmed dates from now, even where a 304 has no Date (RFC 9110 §6.6.1).
    replaced |= {b"age", b"date"}
    return [pair for pair in stored if pair[0].lower() not in replaced] + news


def speaks_of(terms: Terms, told: Fields) -> bool:
    """Whether a 304 is about the stored answer that was asked about (RFC 9111 §4.3.4)."""
    etag = told.last.get(b"etag")
    if etag is not None and terms.origin_etag:
        return opaque(etag) == opaque(terms.origin_etag)
    modified = told.last.get(b"last-modified")
    if etag is None and modified is not None and terms.modified:
        return modified == terms.modified
    return True


def described_by(terms: Terms, size: int, told: Fields) -> bool:
    """Whether the answer to a HEAD is one about the stored bytes (RFC 9111 §4.3.5)."""
    length = told.last.get(b"content-length")
    if length is not None and length != b"%d" % size:
        return False
    etag, modified = told.last.get(b"etag"), told.last.get(b"last-modified")
    return (etag is None or etag == terms.origin_etag) and (modified is None or modified == terms.modified)


def not_modified(stored: Sequence[RawHeader]) -> list[RawHeader]:
    """Return the fields of a 304 made of a stored answer."""
    return [pair for pair in stored if pair[0].lower() in _IN_304]


def origins(stored: Stored) -> list[RawHeader]:
    """Return the fields of a stored answer as the origin gave them."""
    own = b"etag" if stored.terms.flags & OWN_ETAG else b""
    kept = [pair for pair in stored.entry.headers if pair[0].lower() != own]
    return [*kept, *stored.terms.hidden_fields]
