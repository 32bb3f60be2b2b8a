"""Reasoning items: a provider's own encrypted thought, or another's signature packed into the same place."""

from __future__ import annotations

from typing import Any, Final

from llmproxy.canonical import Reasoning, pack_signature, unpack_signature
from llmproxy_openai.responses.parts import ORIGIN

#: Between the parts of a summary, which are sections of their own.
GAP: Final = "\n\n"

_REDACTED: Final = "/redacted"


def thought_of(text: str, encrypted: str, *, summary: bool, name: str = "") -> Reasoning | None:
    """Return the block of a reasoning item that a caller brings back; None where it holds nothing.

    What is shown is proved by its signature; encrypted thought without a text is all there is. A text that nothing
    proves is nobody's.
    """
    if not text and not encrypted:
        return None
    own, origin = unpack_signature(encrypted, ORIGIN)
    family = origin.removesuffix(_REDACTED) if encrypted else ""
    redacted = origin.endswith(_REDACTED) or not text
    return Reasoning(
        text=text,
        signature="" if redacted else own,
        redacted=own if redacted else "",
        origin=family,
        summary=summary and bool(text) and family == ORIGIN,
        id=name,
    )


def encrypted_of(thought: Reasoning) -> str:
    """Return what stands in `encrypted_content` for callers to bring back."""
    own = thought.redacted or thought.signature
    if not own or thought.origin in {ORIGIN, ""}:
        return own
    return pack_signature(own, thought.origin + _REDACTED if thought.redacted else thought.origin)


def thought_item(name: str, text: str, encrypted: str) -> dict[str, Any]:
    """Write a whole reasoning item for a caller."""
    item: dict[str, Any] = {"id": name, "type": "reasoning", "summary": summary_of(text)}
    if encrypted:
        item["encrypted_content"] = encrypted
    item["status"] = "completed"
    return item


def summary_of(text: str) -> list[dict[str, str]]:
    """Return a text as the parts of a summary: one, or none."""
    return [{"type": "summary_text", "text": text}] if text else []
