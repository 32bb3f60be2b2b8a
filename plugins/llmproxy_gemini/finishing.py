"""Why an answer ended: Gemini's words and the canonical ones.

Source: FinishReason and BlockedReason of the Gemini API and of Vertex AI.
"""

from __future__ import annotations

from typing import Final

from llmproxy.canonical import FinishReason
from llmproxy.canonical.finishes import reason_of

#: All reasons known; one that is neither here nor a word of another dialect is an error of the provider.
REASONS: Final[dict[str, FinishReason]] = {
    "STOP": "stop",
    "FINISH_REASON_UNSPECIFIED": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
    "JAILBREAK": "content_filter",
    "MALFORMED_FUNCTION_CALL": "malformed",
    "UNEXPECTED_TOOL_CALL": "malformed",
    "MALFORMED_RESPONSE": "malformed",
    "MISSING_THOUGHT_SIGNATURE": "malformed",
    "CONTINUATION": "pause",
    "TOO_MANY_TOOL_CALLS": "error",
    "PUP_LIMITED_DISABLED": "error",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
    "OTHER": "error",
}

_WORDS: Final[dict[FinishReason, str]] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "OTHER",
    "context": "MAX_TOKENS",
    "malformed": "MALFORMED_FUNCTION_CALL",
    "error": "OTHER",
}


def read_reason(told: object, *, calls: bool) -> FinishReason:
    """Return the canonical reason; Gemini says STOP for calls too, so calls decide."""
    reason = (REASONS.get(told) or reason_of(told, "error")) if isinstance(told, str) else "error"
    return "tool_calls" if calls and reason == "stop" else reason


def written_reason(reason: FinishReason | None, detail: str) -> str | None:
    """Return Gemini's word: the provider's own, where it was Gemini and means the same."""
    if reason is None:
        return None
    if REASONS.get(detail) == reason:
        return detail
    return _WORDS[reason]
