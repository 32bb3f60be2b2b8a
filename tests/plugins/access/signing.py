"""An issuer for tests: its keys, and tokens that it signs."""

from __future__ import annotations

from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

ISSUER = "http://127.0.0.1:1/corp"
WALL = 1_800_000_000.0
KEY = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})
NEXT = ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})
GOOD: dict[str, Any] = {"iss": ISSUER, "aud": "llmproxy", "exp": int(WALL) + 300, "sub": "ann", "org": "acme"}


def keys_of(*keys: ECKey) -> Any:
    """Return what an issuer publishes."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def key_set(*keys: ECKey) -> KeySet:
    return KeySet.import_key_set(keys_of(*keys))


def signed(
    key: ECKey | OctKey = KEY, *, alg: str = "ES256", head: dict[str, Any] | None = None, **claims: Any
) -> bytes:
    """Return a token with these claims in place of the good ones; None leaves one out."""
    told = {name: value for name, value in {**GOOD, **claims}.items() if value is not None}
    header = {"alg": alg, "kid": key.kid, **(head or {})}
    return jwt.encode(header, told, key, algorithms=[alg]).encode()
