"""Names of callers and models as records have them."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

#: A name of so many characters is one that was cut: none that is whole can be taken for it.
_CUT: Final = 200
_DIGEST: Final = 16


def named(text: str) -> str:
    """Return a name fit to be stored: a long one keeps its beginning and gets a digest, so that no two become one."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) < _CUT:
        return text
    digest = blake2b(text.encode(), digest_size=_DIGEST).hexdigest()
    return f"{text[: _CUT - len(digest) - 1]}~{digest}"
