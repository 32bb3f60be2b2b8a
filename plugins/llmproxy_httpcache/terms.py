"""The terms on which a stored answer may be used: its cache fields, read once when it was stored."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from llmproxy.plugin import StoredHeaders
from llmproxy_httpcache.headers import RawHeader

#: `flags`, as bits: asked anew each time; never served stale; lifetime guessed; stored for a caller who gave
#: credentials; a part alone of the whole; a part whose place was mended; the entity tag is this cache's own; the
#: answer was given by an operator, and stands until its end whatever callers say.
ALWAYS_ASK: Final = 1
NEVER_STALE: Final = 2
GUESSED: Final = 4
CREDENTIALS: Final = 8
PART: Final = 16
MENDED: Final = 32
OWN_ETAG: Final = 64
PINNED: Final = 128


class Terms(msgspec.Struct, array_like=True, frozen=True, gc=False, omit_defaults=True):
    """What the cache acts on. Times are seconds, moments seconds since 1970."""

    #: How long the answer is fresh, and how old it was when it had come (RFC 9111 §4.2.1, §4.2.3).
    lifetime: int
    age: float
    answered: float
    flags: int = 0
    #: How long it may be served stale while it is validated, and where validation fails (RFC 5861).
    while_revalidate: int = 0
    if_error: int = 0
    etag: bytes = b""
    modified: bytes = b""
    modified_at: int | None = None
    #: When the origin made it.
    date: int = 0
    #: A part's first and last place, and the length of the whole where it is known.
    first: int = 0
    last: int = -1
    total: int | None = None
    #: Fields of the origin that stay here, as they stand on the wire.
    hidden: bytes = b""
    #: What bounds the words to other caches (see emitting.py).
    limits: int = 0
    #: How long the answer took to make.
    seconds: float = 0.0

    def age_at(self, now: float) -> float:
        """Return how old the answer is; a clock that was set back makes nothing younger."""
        return self.age + max(0.0, now - self.answered)

    @property
    def strong(self) -> bytes:
        """The validator that tells bytes apart, empty if there is none (RFC 9110 §8.8.1)."""
        return b"" if self.etag[:2] in {b"W/", b"w/"} else self.etag

    @property
    def hidden_fields(self) -> list[RawHeader]:
        """Fields of the origin that stay here."""
        return StoredHeaders(self.hidden).raw if self.hidden else []

    @property
    def validator(self) -> bool:
        """Whether the origin can be asked if it is still the same."""
        return not self.flags & PINNED and bool(self.modified or self.origin_etag)

    @property
    def origin_etag(self) -> bytes:
        """The entity tag that the origin knows, empty if there is none."""
        return b"" if self.flags & OWN_ETAG else self.etag


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Terms)


def pack_terms(terms: Terms) -> bytes:
    """Return the terms as they are stored with the answer."""
    return _encoder.encode(terms)


def unpack_terms(data: bytes) -> Terms:
    """Read stored terms.

    Raises:
        msgspec.MsgspecError: they are none.
    """
    return _remembered(data) if len(data) <= _LONGEST else _decoder.decode(data)


_LONGEST: Final = 256
_remembered: Final = lru_cache(maxsize=4096)(_decoder.decode)
