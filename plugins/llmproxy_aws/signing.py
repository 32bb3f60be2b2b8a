"""Signature version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html), as botocore makes it.

botocore makes requests of its own for it and derives the day's key for each one anew; here it is given no more than it
reads, and keeps the key: a third of the time.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote

from botocore.auth import SigV4Auth
from botocore.credentials import ReadOnlyCredentials

from llmproxy.plugin import RawHeader

# What it signs, session tokens among it, is nothing for a log; that there are no credentials the gateway tells itself.
logging.getLogger("botocore.auth").setLevel(logging.WARNING)
logging.getLogger("botocore.credentials").setLevel(logging.ERROR)

_END: Final = "aws4_request"


class _Fields(dict[str, list[str]]):
    """Header fields in small letters, as botocore asks for them."""

    def get_all(self, name: str) -> list[str]:
        return self[name]


class _Signable:
    """What botocore reads of a request; it writes to `headers`."""

    __slots__ = ("body", "context", "fields", "headers", "method", "params", "url")

    def __init__(self, method: str, url: str, fields: Iterable[RawHeader], body: bytes) -> None:
        self.method = method
        self.url = url
        self.body = body
        query = url.partition("?")[2]
        #: Decoded, for what is signed is spelled in one way whatever is sent.
        self.params = [_pair(each) for each in query.split("&")] if query else None
        self.headers: dict[str, str] = {}
        self.context: dict[str, Any] = {}
        self.fields = _Fields()
        for name, value in fields:
            self.fields.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return unquote(name), unquote(value)


class Signer(SigV4Auth):  # type: ignore[misc]  # a package without types
    """Signs requests with one set of credentials."""

    def __init__(self, keys: ReadOnlyCredentials, service: str, region: str) -> None:
        super().__init__(keys, service, region)
        self._place = (region, service, _END)
        self._day = ""
        self._key = b""

    def __repr__(self) -> str:
        return "<Signer>"

    def sign(self, method: str, url: str, fields: Iterable[RawHeader], body: bytes) -> list[RawHeader]:
        """Return the fields that are to be added; `fields` are all that is signed of the header, Host among it."""
        request = _Signable(method, url, fields, body)
        self.add_auth(request)
        return [(name.encode(), value.encode("latin-1")) for name, value in request.headers.items()]

    def headers_to_sign(self, request: _Signable) -> _Fields:
        """Return the given fields and what botocore added."""
        fields = request.fields
        for name, value in request.headers.items():
            fields[name.lower()] = [value]
        return fields

    def signature(self, string_to_sign: str, request: _Signable) -> str:
        """Sign with the day's key, derived once."""
        day = request.context["timestamp"][:8]
        if day != self._day:
            key = b"AWS4" + self.credentials.secret_key.encode()
            for part in (day, *self._place):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._key = day, key
        return hmac.digest(self._key, string_to_sign.encode(), "sha256").hex()
