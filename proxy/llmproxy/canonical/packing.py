"""Signatures on their way through a dialect that is not their origin's."""

from __future__ import annotations

from typing import Final

_PACKED: Final = "llmproxy:"


def pack_signature(signature: str, origin: str) -> str:
    """Return a signature as it travels in a dialect other than its origin's."""
    return f"{_PACKED}{origin}:{signature}"


def unpack_signature(signature: str, dialect: str) -> tuple[str, str]:
    """Return a signature and its origin: as packed, or `dialect` if it is that dialect's own."""
    if not signature.startswith(_PACKED):
        return signature, dialect
    origin, _, own = signature.removeprefix(_PACKED).partition(":")
    return own, origin
