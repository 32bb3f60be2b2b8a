"""Why an answer ended: Cohere's words, and the canonical ones."""

from __future__ import annotations

from typing import Final

from llmproxy.canonical import FinishReason
from llmproxy.canonical.finishes import reason_of

#: What only Cohere says.
_FAILED: Final = frozenset({"TIMEOUT", "USER_CANCEL"})
_WRITTEN: Final[dict[FinishReason, str]] = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "ERROR_TOXIC",
    "refusal": "COMPLETE",
    "pause": "COMPLETE",
    "context": "ERROR_LIMIT",
    "malformed": "ERROR",
    "error": "ERROR",
}


def read_finish(word: str, *, called: bool) -> tuple[FinishReason, str]:
    """Return the reason and the provider's own word for it; with `called` the answer asks for tools."""
    reason = "error" if word.upper() in _FAILED else reason_of(word)
    return ("tool_calls" if called and reason == "stop" else reason), word


def write_finish(
    reason: FinishReason | None, stop_sequence: str | None, detail: str = "", *, called: bool
) -> str:
    """Return Cohere's word; `detail` is the provider's own, which may be that."""
    if reason is None:
        return "ERROR"
    if reason == "stop" and called:
        return "TOOL_CALL"
    if reason == "stop" and (stop_sequence or detail == "STOP_SEQUENCE"):
        return "STOP_SEQUENCE"
    return _WRITTEN[reason]
