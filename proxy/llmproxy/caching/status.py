"""How a cache handled a request, as `Cache-Status` says it (RFC 9211)."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

#: Why a request went on to the upstream (RFC 9211 §2.2).
Forwarded = Literal["bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"]

#: What a structured string may hold (RFC 9651 §3.3.3); the rest is left out.
_PLAIN: Final = {code: chr(code) for code in range(0x20, 0x7F)} | {0x22: '\\"', 0x5C: "\\\\"}


class CacheStatus(NamedTuple):
    """One cache's part in an answer; `forwarded` None means a hit. `ttl` is in seconds, below zero when stale."""

    forwarded: Forwarded | None = None
    forward_status: int | None = None
    ttl: int | None = None
    stored: bool = False
    collapsed: bool = False
    key: str = ""
    detail: str = ""

    def value(self, cache: bytes = b"llmproxy") -> bytes:
        """Return the field's member for the cache of that name."""
        parts = [cache]
        parts.append(b"hit" if self.forwarded is None else b"fwd=%b" % self.forwarded.encode())
        if self.forward_status is not None:
            parts.append(b"fwd-status=%d" % self.forward_status)
        if self.ttl is not None:
            parts.append(b"ttl=%d" % self.ttl)
        if self.stored:
            parts.append(b"stored")
        if self.collapsed:
            parts.append(b"collapsed")
        if self.key:
            parts.append(b"key=" + _string(self.key))
        if self.detail:
            parts.append(b"detail=" + _string(self.detail))
        return b"; ".join(parts)


def _string(text: str) -> bytes:
    return b'"%b"' % "".join(_PLAIN.get(ord(sign), "") for sign in text).encode()
