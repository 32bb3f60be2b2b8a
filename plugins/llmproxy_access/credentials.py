"""Finds the key in a request: SDKs put it into one of four headers."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from llmproxy.plugin import Headers

#: The header fields that may hold a key.
PLACES = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})


class SeveralCredentials(Exception):
    """The request holds different credentials, and which of them counts would be a guess."""


# AWS's Signature Version 4: who signs is named before the first slash.
_SIGNER: Final = re.compile(rb"(?:^|[ ,])Credential=([^/, ]+)/")

_OTHERS = PLACES - {b"authorization"}


def find_key(headers: Headers) -> bytes | None:
    """Return the one key that the headers hold, None if they hold none; raise `SeveralCredentials`."""
    index = headers.index
    if len(index) == len(headers.raw) and index.keys().isdisjoint(_OTHERS):
        # Each field once, and none of the rarer places: what nearly every SDK sends.
        value = index.get(b"authorization")
        return None if value is None else _from_authorization(value) or None
    keys = {
        _from_authorization(value) if name.lower() == b"authorization" else value
        for name, value in headers.raw
        if name.lower() in PLACES
    }
    keys.discard(b"")
    if len(keys) > 1:
        raise SeveralCredentials
    return keys.pop() if keys else None


def _from_authorization(value: bytes) -> bytes:
    """Return a Bearer token or a Basic password (RFC 6750, 7617), a signer's access key id; all of another scheme's.

    AWS's SDKs send bearer tokens over TLS only: elsewhere a key is their access key id. The signature is not looked at.
    """
    scheme, _, rest = value.partition(b" ")
    kind = scheme.lower()
    if kind == b"bearer":
        return rest.strip()
    if kind == b"basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            return value
    if kind == b"aws4-hmac-sha256" and (signer := _SIGNER.search(rest)) is not None:
        return signer[1]
    return value
