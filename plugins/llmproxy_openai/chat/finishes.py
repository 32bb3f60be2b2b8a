"""Why an answer ended, in the provider's word and in ours."""

from __future__ import annotations

from typing import Final

from llmproxy.canonical import FinishReason
from llmproxy.canonical.finishes import reason_of

#: OpenAI has five words. What went wrong is told as content left out: a client must not take it for a whole answer.
_WRITTEN: Final[dict[str, str]] = {
    "stop": "stop",
    "pause": "stop",
    "length": "length",
    "context": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "malformed": "content_filter",
    "error": "content_filter",
}
_PLAIN: Final = frozenset({"stop", "length", "tool_calls", "content_filter"})


def read_finish(word: object, *, calls: bool) -> tuple[FinishReason, str]:
    """Return the reason and the provider's own word; where tools are called, an end that says less means that."""
    told = word if type(word) is str else ""
    reason = reason_of(told)
    if reason == "stop" and calls:
        reason = "tool_calls"
    return reason, told


def write_finish(reason: FinishReason | None, *, calls: bool, legacy: bool) -> str:
    """Return OpenAI's word for a reason."""
    written = "stop" if reason is None else _WRITTEN[reason]
    if written == "stop" and calls and reason != "pause":
        written = "tool_calls"
    return "function_call" if legacy and written == "tool_calls" else written


def native_finish(reason: FinishReason | None, detail: str) -> str:
    """Return what OpenAI's words hide of a reason: what OpenRouter tells as `native_finish_reason`."""
    return "" if reason is None or reason in _PLAIN else detail or reason
