"""Names of callers' users, as OpenAI takes them."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from llmproxy.canonical import Losses

#: OpenAI refuses a longer name.
_LONGEST: Final = 64


def written_user(user: str, losses: Losses) -> str:
    """Return the name, or the digest of one that is too long: the same user is the same again."""
    if len(user) <= _LONGEST:
        return user
    losses.lose("user", "too long for the provider, and told as its digest")
    return blake2b(user.encode("utf-8", "replace"), digest_size=32).hexdigest()
