"""Why an answer ended: Ollama's `done_reason` and the canonical reasons."""

from __future__ import annotations

from typing import Any, Final

from llmproxy.canonical import FinishReason
from llmproxy.canonical.finishes import reason_of

#: Ollama itself says stop and length; what is neither is told in a word that nobody takes for a whole answer.
_WRITTEN: Final[dict[str | None, str]] = {
    "stop": "stop",
    "tool_calls": "stop",
    "pause": "stop",
    "length": "length",
    "context": "length",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}


def read_reason(told: Any, *, calls: bool) -> FinishReason:
    """Return why an answer ended; calls decide, for Ollama says `stop` of them too."""
    reason = reason_of(told) if isinstance(told, str) else "stop"
    return "tool_calls" if calls and reason == "stop" else reason


def written_reason(reason: FinishReason | None) -> str:
    """Return the word that callers read."""
    return _WRITTEN.get(reason, "error")
