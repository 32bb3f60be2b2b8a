"""Blocks of thought, both ways: as the model signed them, those of other providers with their proof packed.

Claude models sign what they thought, and their signatures hold on every cloud: so these thoughts are of the family
`anthropic`. A caller sends a block's signature back unread; what another provider needs back travels there.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import Reasoning, unpack_signature
from llmproxy.canonical.packing import pack_thought, unpack_thought
from llmproxy_bedrock.values import a_text, a_text_or_nothing, an_object, refuse, the_one

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

#: The family whose proofs stand here as they are.
FAMILY: Final = "anthropic"
#: The origin of what nobody else than Amazon can make anything of.
OWN: Final = "bedrock"


#: The members of a `reasoningContent` block.
THOUGHTS: Final = frozenset({"reasoningText", "redactedContent"})


def read_thought(value: Any, where: str, losses: Losses | None) -> Reasoning | None:
    """Read the content of a `reasoningContent` block; None where nothing is in it."""
    kind, told = the_one(an_object(value, where), where)
    if kind == "redactedContent":
        return sealed_thought(a_text(told, f"{where}.{kind}"))
    if kind != "reasoningText":
        refuse(where, "must hold reasoningText or redactedContent")
    inner = an_object(told, f"{where}.{kind}")
    text = a_text_or_nothing(inner.get("text"), f"{where}.{kind}.text")
    signature = a_text_or_nothing(inner.get("signature"), f"{where}.{kind}.signature")
    return thought_of(text, signature) if text or signature else None


def thought_of(text: str, proof: str) -> Reasoning:
    """Read a thought by its text and its signature."""
    if not proof:
        return Reasoning(text=text)
    own, origin = unpack_signature(proof, FAMILY)
    if origin == FAMILY:
        return Reasoning(text=text, signature=own, origin=FAMILY)
    return unpack_thought(text, own, origin)


def sealed_thought(data: str) -> Reasoning:
    """Read a thought that only its provider can read; the wire has it in base64 once more."""
    try:
        inner = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return Reasoning(redacted=data, origin=OWN)
    own, origin = unpack_signature(inner, FAMILY)
    if origin == FAMILY:
        return Reasoning(redacted=own, origin=FAMILY)
    return unpack_thought("", own, origin)


def proof_of(block: Reasoning) -> str:
    """Return what stands as a thought's signature."""
    return pack_thought(block, FAMILY)


def is_sealed(block: Reasoning) -> bool:
    """Say whether a thought has no text that could be shown."""
    return bool(block.redacted) and not block.text


def sealed_data(block: Reasoning) -> str:
    """Return a sealed thought as it stands on the wire."""
    if block.origin == OWN:
        return block.redacted
    inner = block.redacted if block.origin in (FAMILY, "") else proof_of(block)
    return base64.b64encode(inner.encode()).decode()


def write_thought(block: Reasoning) -> dict[str, Any]:
    """Write a thought for a caller, as the content of its block."""
    if is_sealed(block):
        return {"redactedContent": sealed_data(block)}
    told = {"text": block.text}
    if proof := proof_of(block):
        told["signature"] = proof
    return {"reasoningText": told}
