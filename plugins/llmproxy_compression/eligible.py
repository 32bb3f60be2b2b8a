"""Which answers are compressed. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from llmproxy.plugin import Body, Headers, Reply, is_stream

#: Statuses without a body, or with a part of one, whose bytes are counted (RFC 9110 §14).
_SPARED: Final = frozenset({101, 204, 205, 206, 304})
_NO_TRANSFORM: Final = re.compile(rb"(?i)(?:^|,)\s*no-transform\s*(?:,|$)")

#: Content types that are remembered.
_REMEMBERED: Final = 256


class Types:
    """The content types that are worth compressing, as patterns such as `text/*`."""

    def __init__(self, patterns: Sequence[str]) -> None:
        texts = [re.escape(pattern).replace(r"\*", "[^/]*") for pattern in patterns]
        self._pattern = re.compile("|".join(texts).encode() or rb"(?!)")
        self._known: dict[bytes, bool] = {}

    def take(self, content_type: bytes) -> bool:
        """Whether a content type, parameters and all, is one of them."""
        known = self._known.get(content_type)
        if known is None:
            known = self._pattern.fullmatch(kind_of(content_type)) is not None
            if len(self._known) < _REMEMBERED:
                self._known[content_type] = known
        return known


def kind_of(content_type: bytes) -> bytes:
    """Return a content type without its parameters, in lower case."""
    return content_type.partition(b";")[0].strip().lower()


def varies(reply: Reply, types: Types, *, events: bool) -> bool:
    """Whether an answer is of a kind that some callers get compressed, however large this one is."""
    headers = reply.headers
    if reply.status in _SPARED or reply.status < 200 or headers.has(b"content-encoding"):
        return False
    content_type = headers.index.get(b"content-type", b"")
    wanted = events if is_stream(content_type) else types.take(content_type)
    return wanted and not _NO_TRANSFORM.search(whole(headers, b"cache-control") or b"")


def whole(headers: Headers, name: bytes) -> bytes | None:
    """Return a list's field, all of its lines as one (RFC 9110 §5.3); None where there is none."""
    index, raw = headers.index, headers.raw
    if len(index) == len(raw) or name not in index:
        return index.get(name)
    return b", ".join(value for field, value in raw if field.lower() == name)


def confirm(headers: Headers, asked: bytes) -> None:
    """Let a 304 name the coded answer that its caller has, where `asked`, the `If-None-Match`, tells that he has one.

    Caches take a 304 with a strong validator for news of another answer than theirs (RFC 9111 §4.3.4).
    """
    etag = headers.index.get(b"etag", b"")
    if etag.startswith(b'"') and b"W/" + etag in asked:
        headers.set("ETag", b"W/" + etag)
        add_vary(headers)


def large(reply: Reply, least: int) -> bool:
    """Whether an answer has so many bytes, or so many that nobody knows yet."""
    body = reply.body
    if not isinstance(body, Body) and body:
        return len(body) >= least
    told = reply.headers.index.get(b"content-length", b"")
    return isinstance(body, Body) if not told.isdigit() else int(told) >= least


def mark(headers: Headers, coding: str) -> None:
    """Say that a body is coded, and nothing that is true of the plain one alone."""
    for name in ("content-length", "accept-ranges", "content-digest", "repr-digest", "digest", "content-md5"):
        headers.remove(name)
    headers.set("Content-Encoding", coding)
    etag = headers.index.get(b"etag")
    if etag is not None and not etag.startswith(b"W/"):
        # Two codings of one answer are two byte sequences, and may not share a strong validator (RFC 9110 §8.8.3.3).
        headers.set("ETag", b"W/" + etag)


def add_vary(headers: Headers) -> None:
    """Say that an answer depends on `Accept-Encoding`."""
    if not headers.has(b"vary"):
        headers.add("Vary", "Accept-Encoding")
        return
    told = ", ".join(headers.get_all("vary"))
    known = {name.strip().lower() for name in told.split(",")}
    if not known & {"*", "accept-encoding"}:
        headers.set("Vary", f"{told}, Accept-Encoding")
