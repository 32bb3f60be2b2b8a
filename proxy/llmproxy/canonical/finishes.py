"""Why an answer ended, in whatever dialect's word: servers of one dialect pass on what another's said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmproxy.canonical.answers import FinishReason

#: The words of all dialects, in lower case; where two mean different things by one, it is not here.
_WORDS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "context",
    "model_context_window_exceeded": "context",
    "error_limit": "context",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "error_toxic": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "image_safety": "content_filter",
    "model_armor": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
    "malformed_function_call": "malformed",
    "malformed_tool_use": "malformed",
    "unexpected_tool_call": "malformed",
    "malformed_model_output": "error",
    "insufficient_system_resource": "error",
    "error": "error",
}


def reason_of(word: str, unknown: FinishReason = "stop") -> FinishReason:
    """Return the reason that a word says in some dialect; `unknown` where none has it."""
    return _WORDS.get(word.lower(), unknown)
