"""Selecting header fields: which variant of an answer a request gets (RFC 9111 §4.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from llmproxy_httpcache.headers import Fields

#: Fields whose members are weighed, so that neither their order nor their case says anything.
_WEIGHED: Final = frozenset({b"accept-language", b"accept-encoding", b"accept-charset"})
# A quote that nobody closes takes the rest with it, so that no text is looked through twice.
_MEMBER: Final = re.compile(rb'(?:[^",]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z))++', re.DOTALL)
_WEIGHT: Final = re.compile(rb"[ \t]*q[ \t]*=[ \t]*([01](?:\.[0-9]{0,3})?)[ \t]*", re.IGNORECASE)

#: Names that one answer may select by; more than that is no selection but noise.
MOST_NAMES: Final = 32

_LONGEST: Final = 512

# What the gateway writes anew for each request and caller: the origin selects by what no request here has.
_WRITTEN: Final = frozenset({b"x-forwarded-for", b"x-request-id", b"traceparent"})


def selecting(fields: Fields) -> tuple[bytes, ...] | None:
    """Return the names in an answer's Vary, in lower case and sorted; None where no request can be known to match."""
    value = fields.get(b"vary")
    if value is None:
        return ()
    names = {name for part in value.split(b",") if (name := part.strip().lower())}
    if b"*" in names or len(names) > MOST_NAMES or not _WRITTEN.isdisjoint(names):
        return None
    return tuple(sorted(names))


def members(value: bytes) -> list[bytes]:
    """Return a list field's members, without the blanks around them and the empty ones."""
    return [stripped for member in _MEMBER.findall(value) if (stripped := member.strip(b" \t"))]


def normalised(name: bytes, value: bytes | None) -> bytes | None:
    """Return what a selecting field means; equal meanings give equal bytes."""
    if value is None:
        return None
    if len(value) > _LONGEST:
        return _normalised(name in _WEIGHED, value)
    return _remembered(name in _WEIGHED, value)


def _normalised(weighed: bool, value: bytes) -> bytes:
    if not weighed:
        return b",".join(members(value))
    ranked = sorted(weights(value), key=lambda pair: (-pair[1], pair[0]))
    return b",".join(b"%b;q=%d" % pair for pair in ranked)


_remembered: Final = lru_cache(maxsize=2048)(_normalised)


def weights(value: bytes) -> list[tuple[bytes, int]]:
    """Return the members of a weighed list, in lower case, each with its weight in thousandths."""
    found = []
    for member in members(value.lower()):
        choice, _, rest = member.partition(b";")
        match = _WEIGHT.fullmatch(rest)
        if match is None:
            found.append((member if rest else choice.strip(), 1000))
        else:
            found.append((choice.strip(), min(1000, round(float(match[1]) * 1000))))
    return found


def selection(names: Sequence[bytes], request: Fields) -> bytes:
    """Return a digest of a request's values of the selecting fields: equal for requests that get one variant."""
    values = tuple([normalised(name, request.get(name)) for name in names])
    if sum([len(value or b"") for value in values]) > _LONGEST:
        return _digest(tuple(names), values)
    return _remembered_digest(tuple(names), values)


def _digest(names: tuple[bytes, ...], values: tuple[bytes | None, ...]) -> bytes:
    digest = blake2b(digest_size=16)
    for name, value in zip(names, values, strict=True):
        # Absent and empty are two things.
        digest.update(b"%d:%b-" % (len(name), name))
        digest.update(b"-" if value is None else b"%d:%b" % (len(value), value))
    return digest.digest()


_remembered_digest: Final = lru_cache(maxsize=2048)(_digest)


def preferred_language(request: Fields) -> bytes | None:
    """Return the language that a request prefers to every other, None where there is no single one."""
    value = request.get(b"accept-language")
    if value is None:
        return None
    ranked = sorted(weights(value), key=lambda pair: -pair[1])
    if not ranked or ranked[0][0] == b"*" or (len(ranked) > 1 and ranked[1][1] == ranked[0][1]):
        return None
    return ranked[0][0] if ranked[0][1] > 0 else None
