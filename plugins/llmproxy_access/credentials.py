"""Finds the key in a request: SDKs put it into one of four headers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

#: The header fields that may hold a key.
PLACES = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
_MAX_SPELLINGS = 1024


class SeveralCredentials(Exception):
    """The request holds different credentials, and which of them counts would be a guess."""


class _Places(dict[bytes, bytes]):
    """The place that a header name is, empty if none; remembers a bounded number of spellings."""

    def __missing__(self, name: bytes) -> bytes:
        lower = name.lower()
        place = lower if lower in PLACES else b""
        if len(self) < _MAX_SPELLINGS:
            self[name] = place
        return place


_places = _Places()


def find_key(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """Return the one key that the headers hold, None if they hold none; raise `SeveralCredentials`."""
    places = _places
    found = [(places[name], value) for name, value in headers if places[name]]
    if not found:
        return None
    if len(found) == 1:
        place, value = found[0]
        return (_from_authorization(value) if place == b"authorization" else value) or None
    keys = {_from_authorization(value) if place == b"authorization" else value for place, value in found}
    keys.discard(b"")
    if len(keys) > 1:
        raise SeveralCredentials
    return keys.pop() if keys else None


def _from_authorization(value: bytes) -> bytes:
    """Return a Bearer token or a Basic password (RFC 6750, 7617); all of another scheme's."""
    scheme, _, rest = value.partition(b" ")
    kind = scheme.lower()
    if kind == b"bearer":
        return rest.strip()
    if kind == b"basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            return value
    return value
