"""Reads the idempotency key out of a request's header. Pure.

The draft (draft-ietf-httpapi-idempotency-key-header, section 2.1) wants a structured-field string, `"8e03..."`; most
clients there are send the bare text, as Stripe's do. Both name the same key.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from llmproxy.plugin import Headers

#: Characters that a key may have; longer ones are a mistake, or an attack on the store.
LONGEST = 255

# RFC 8941 §3.3.3, with parameters (§3.1.2) that mean nothing here; bare: visible ASCII without list and string signs.
_QUOTED = re.compile(rb'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"(?: *;[\x20-\x7e]*)?')
_BARE = re.compile(rb"[\x21\x23-\x2b\x2d-\x7e]+")
_ESCAPED = re.compile(rb'\\(["\\])')


class MalformedKey(ValueError):
    """The header holds no key that could be told from others; the message says why, without the key."""


class IdempotencyKey(NamedTuple):
    """A key, and whether it came as a structured-field string."""

    text: bytes
    quoted: bool

    def spelled(self, text: bytes) -> bytes:
        """Write another key the way that this one was written."""
        return b'"%b"' % text if self.quoted else text


def read_key(headers: Headers, name: bytes) -> IdempotencyKey | None:
    """Return the key in the fields called `name` (lower case), None if there is no such field.

    Raises:
        MalformedKey: more than one field, or none that is a key.
    """
    if name not in headers.index:
        return None
    values = [value for field, value in headers.raw if field.lower() == name]
    if len(values) > 1:
        raise MalformedKey("stands there more than once")
    value = values[0].strip(b" \t")
    if quoted := _QUOTED.fullmatch(value):
        key = IdempotencyKey(_ESCAPED.sub(rb"\1", quoted[1]), quoted=True)
    elif _BARE.fullmatch(value):
        key = IdempotencyKey(value, quoted=False)
    else:
        raise MalformedKey("is empty, or neither a string in quotes nor plain visible characters")
    if not key.text.strip() or len(key.text) > LONGEST:
        raise MalformedKey(f"should have 1 to {LONGEST} characters")
    return key
