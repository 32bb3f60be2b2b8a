"""How a client's credentials are exchanged for a token (RFC 6749 §4.4), and what the answer means. Pure."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from llmproxy.plugin import CredentialsAway, Granted, RawHeader
from llmproxy_oauth2.config import OAuth2Options

#: What a token is made of (RFC 6750 §2.1), and the words of errors (RFC 6749 §5.2).
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")
_WORD: Final = re.compile(r"[a-z_]{1,40}")
#: Seconds that a token is good for whose end is not told, and the most that are believed.
_UNTOLD: Final = 300.0
_LONGEST: Final = 86400.0


def question_of(options: OAuth2Options) -> tuple[list[RawHeader], bytes]:
    """Return the header fields and the form that ask for a token."""
    headers: list[RawHeader] = [(b"Content-Type", b"application/x-www-form-urlencoded")]
    form = {"grant_type": "client_credentials"}
    name, secret = options.client_id, options.client_secret.reveal()
    if options.credentials == "header":
        # Both are encoded first (RFC 6749 §2.3.1).
        pair = f"{quote_plus(name)}:{quote_plus(secret)}".encode()
        headers.append((b"Authorization", b"Basic " + b64encode(pair)))
    else:
        form |= {"client_id": name, "client_secret": secret}
    told = {"scope": " ".join(options.scopes), "audience": options.audience, "resource": options.resource}
    form |= {key: value for key, value in told.items() if value}
    return headers, urlencode({**form, **options.form}).encode()


def granted(status: int, told: Any) -> Granted[bytes]:
    """Read the answer.

    Raises:
        CredentialsAway: it holds no token; texts of the server's are not repeated, its word for the error is.
    """
    members = told if isinstance(told, dict) else {}
    token, kind = members.get("access_token"), members.get("token_type")
    if status != 200 or not isinstance(token, str):
        word = members.get("error")
        known = isinstance(word, str) and _WORD.fullmatch(word)
        raise CredentialsAway(f"the token server answers {status}{f' {word}' if known else ''}")
    if _TOKEN.fullmatch(token) is None or (isinstance(kind, str) and kind.lower() != "bearer"):
        raise CredentialsAway("the token server gives no bearer token")
    return Granted(token.encode(), _seconds(members.get("expires_in")))


def _seconds(told: object) -> float:
    if isinstance(told, str) and told.isascii() and told.isdigit() and len(told) < 12:
        told = int(told)
    if isinstance(told, bool) or not isinstance(told, int | float):
        return _UNTOLD
    return min(float(told), _LONGEST)
