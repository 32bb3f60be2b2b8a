"""Blocks of thought, both ways: Anthropic's own as they are, those of other providers with their proof packed.

A caller sends a thinking block's signature back unread, with what is packed in it.
"""

from __future__ import annotations

from typing import Any, Final

from llmproxy.canonical import Reasoning, unpack_signature
from llmproxy.canonical.packing import pack_thought, unpack_thought

OWN: Final = "anthropic"


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
    return unpack_thought(text, own, origin)


def proof_of(block: Reasoning) -> str:
    """Return what stands as the block's signature."""
    return pack_thought(block, OWN)


def write_thought(block: Reasoning) -> dict[str, Any]:
    """Write a thought for a caller."""
    if block.redacted and block.origin in (OWN, ""):
        return {"type": "redacted_thinking", "data": block.redacted}
    if block.redacted and not block.text:
        return {"type": "redacted_thinking", "data": proof_of(block)}
    return {"type": "thinking", "thinking": block.text, "signature": proof_of(block)}
