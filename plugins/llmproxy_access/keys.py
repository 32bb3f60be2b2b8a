"""Keys as they are kept: by SHA-256, looked up by digest.

A key is random and long (`hash-key` makes 256 bits), so nobody can try the keys that might have a digest, and
a plain hash keeps it as secret as a slow one would. That would only let callers without a key spend our time.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest

from llmproxy.plugin import Caller


def digest_of(key: bytes) -> bytes:
    """Return what is kept of a key."""
    return sha256(key).digest()


class KeyRing:
    """Finds the caller that a key stands for."""

    def __init__(self, callers: Iterable[tuple[bytes, Caller]]) -> None:
        self._by_digest = {digest: (digest, caller) for digest, caller in callers}

    def find(self, key: bytes) -> Caller | None:
        """Return the key's caller, or None; the time taken tells of the digest at most, never of the key."""
        digest = sha256(key).digest()
        found = self._by_digest.get(digest)
        if found is None or not compare_digest(found[0], digest):
            return None
        return found[1]

    def __repr__(self) -> str:
        return f"<KeyRing of {len(self._by_digest)} keys>"
