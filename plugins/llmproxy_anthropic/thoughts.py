"""Blocks of thought, both ways: Anthropic's own as they are, those of other providers with their proof packed.

A caller sends a thinking block's signature back unread. So what another provider needs back (its signature, its
encrypted thought, the item's id) travels there.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmproxy.canonical import Reasoning, pack_signature, unpack_signature

OWN: Final = "anthropic"


class _Parcel(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a foreign thought needs besides its text, where that is more than a signature."""

    signature: str = ""
    redacted: str = ""
    id: str = ""
    summary: bool = False


_parcels: Final = msgspec.json.Decoder(_Parcel)


def thought_of(text: str, proof: str, *, redacted: bool = False) -> Reasoning:
    """Read a thought by its text and its signature, or by the data of a redacted one."""
    if not proof:
        return Reasoning(text=text)
    own, origin = unpack_signature(proof, OWN)
    if origin == OWN:
        return (
            Reasoning(redacted=own, origin=OWN)
            if redacted
            else Reasoning(text=text, signature=own, origin=OWN)
        )
    parcel = _opened(own)
    return Reasoning(
        text=text,
        signature=parcel.signature,
        redacted=parcel.redacted,
        origin=origin,
        summary=parcel.summary,
        id=parcel.id,
    )


def proof_of(block: Reasoning) -> str:
    """Return what stands as the block's signature."""
    if block.origin in (OWN, ""):
        return block.signature
    if not (block.redacted or block.id or block.summary):
        return pack_signature(block.signature, block.origin) if block.signature else ""
    parcel = _Parcel(block.signature, block.redacted, block.id, block.summary)
    return pack_signature(msgspec.json.encode(parcel).decode(), block.origin)


def write_thought(block: Reasoning) -> dict[str, Any]:
    """Write a thought for a caller."""
    if block.redacted and block.origin in (OWN, ""):
        return {"type": "redacted_thinking", "data": block.redacted}
    if block.redacted and not block.text:
        return {"type": "redacted_thinking", "data": proof_of(block)}
    return {"type": "thinking", "thinking": block.text, "signature": proof_of(block)}


def _opened(packed: str) -> _Parcel:
    if packed.startswith("{"):
        try:
            return _parcels.decode(packed)
        except msgspec.DecodeError:
            return _Parcel(signature=packed)
    return _Parcel(signature=packed)
