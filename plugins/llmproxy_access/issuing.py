"""Keys that the gateway makes: `llmp-<public id>-<secret>`, of which it keeps an HMAC.

The HMAC's pepper is not in the database: who reads that can neither use a key nor try whether a guess is one. The id
finds the row, so that nothing secret is ever searched for.
"""

from __future__ import annotations

import hmac
import secrets
import string
from typing import Final, NamedTuple

PREFIX: Final = b"llmp-"
#: Letters and digits alone: a double click takes them whole, and none of them is the dash between the parts.
_ALPHABET: Final = string.ascii_letters + string.digits
_ID_LENGTH: Final = 12
#: 256 random bits.
_SECRET_LENGTH: Final = 43
#: What a pepper needs at least: it is a key of HMAC-SHA-256.
SHORTEST_PEPPER: Final = 32
_MARK: Final = b"llmproxy access: which pepper is this"


class Issued(NamedTuple):
    """A new key: `key` is shown once and kept nowhere; `expires` is when it ends, in seconds since 1970."""

    id: str
    key: str
    digest: bytes
    expires: float | None = None

    def __repr__(self) -> str:
        return f"Issued({self.id!r})"


class Pepper:
    """Turns keys into what is kept of them."""

    __slots__ = ("_pepper",)

    def __init__(self, pepper: str) -> None:
        self._pepper = pepper.encode()

    @property
    def mark(self) -> bytes:
        """What tells this pepper from another, and nothing of it."""
        return self.digest(_MARK)

    def digest(self, key: bytes) -> bytes:
        """Return what is kept of a key."""
        return hmac.digest(self._pepper, key, "sha256")

    def issue(self) -> Issued:
        """Make a key."""
        public, secret = _random(_ID_LENGTH), _random(_SECRET_LENGTH)
        key = f"llmp-{public}-{secret}"
        return Issued(public, key, self.digest(key.encode()))

    def __repr__(self) -> str:
        return "<Pepper>"


def public_id(key: bytes) -> str | None:
    """Return the id of a key that has our shape; None for any other."""
    if not key.startswith(PREFIX):
        return None
    public, _, secret = key[len(PREFIX) :].partition(b"-")
    if len(public) != _ID_LENGTH or len(secret) != _SECRET_LENGTH or not (public + secret).isalnum():
        return None
    return public.decode("ascii")


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
