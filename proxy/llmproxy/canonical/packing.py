"""Signatures, and what proves thoughts, on their way through a dialect that is not their origin's.

A caller sends a thought's signature back unread. So what another provider needs back (its signature, its encrypted
thought, the item's id) travels there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from llmproxy.canonical.blocks import Block, Reasoning, Text, ToolCall

_PACKED: Final = "llmproxy:"


def is_signed(block: Block) -> bool:
    """Say whether a block holds what its provider wants back unchanged."""
    if isinstance(block, Reasoning):
        return bool(block.signature or block.redacted)
    return isinstance(block, ToolCall | Text) and bool(block.signature)


def pack_signature(signature: str, origin: str) -> str:
    """Return a signature as it travels in a dialect other than its origin's."""
    return f"{_PACKED}{origin}:{signature}"


def unpack_signature(signature: str, dialect: str) -> tuple[str, str]:
    """Return a signature and its origin: as packed, or `dialect` if it is that dialect's own."""
    if not signature.startswith(_PACKED):
        return signature, dialect
    origin, _, own = signature.removeprefix(_PACKED).partition(":")
    return own, origin


class _Parcel(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a foreign thought needs besides its text, where that is more than a signature."""

    signature: str = ""
    redacted: str = ""
    id: str = ""
    summary: bool = False


_parcels: Final = msgspec.json.Decoder(_Parcel)


def pack_thought(thought: Reasoning, dialect: str) -> str:
    """Return what stands as a thought's signature in a dialect, of its own thoughts the signature itself."""
    if thought.origin in (dialect, ""):
        return thought.signature
    if not (thought.redacted or thought.id or thought.summary or thought.signature.startswith("{")):
        return pack_signature(thought.signature, thought.origin) if thought.signature else ""
    parcel = _Parcel(thought.signature, thought.redacted, thought.id, thought.summary)
    return pack_signature(msgspec.json.encode(parcel).decode(), thought.origin)


def unpack_thought(text: str, packed: str, origin: str) -> Reasoning:
    """Return another dialect's thought by its text and what `unpack_signature` gave."""
    parcel = _Parcel(signature=packed)
    if packed.startswith("{"):
        try:
            parcel = _parcels.decode(packed)
        except msgspec.DecodeError:
            parcel = _Parcel(signature=packed)
    return Reasoning(
        text=text,
        signature=parcel.signature,
        redacted=parcel.redacted,
        origin=origin,
        summary=parcel.summary,
        id=parcel.id,
    )
