"""Whole answers, both ways."""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.canonical import (
    Answer,
    Audio,
    Block,
    Choice,
    CountAnswer,
    FinishReason,
    Foreign,
    Image,
    ModelAnswer,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from llmproxy.canonical.calls import arguments_object
from llmproxy.canonical.finishes import reason_of
from llmproxy.plugin import BadRequest, Usage, no_translation
from llmproxy_bedrock.blocks import read_content
from llmproxy_bedrock.citations import write_citation
from llmproxy_bedrock.media import IMAGES, SOUNDS, format_of
from llmproxy_bedrock.sources import write_source
from llmproxy_bedrock.thoughts import OWN, write_thought
from llmproxy_bedrock.usage import read_usage, write_usage

_REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "malformed",
    "model_context_window_exceeded": "context",
    "refusal": "refusal",
    "pause_turn": "pause",
}
_STOPS: Final[dict[FinishReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
    "context": "model_context_window_exceeded",
    "malformed": "malformed_tool_use",
    "error": "malformed_model_output",
}
_NO_THOUGHT: Final = {"reasoningText": {"text": ""}}
_TIERS: Final = frozenset({"default", "priority", "flex", "reserved"})


def decode_answer(body: bytes) -> Answer | CountAnswer:
    """Read an answer, or a count of tokens.

    Raises:
        ValueError: it is neither.
    """
    told = orjson.loads(body)
    if not isinstance(told, dict):
        raise ValueError("the answer is no object")  # noqa: TRY004  # what callers wait for
    output = told.get("output")
    if output is None and type(told.get("inputTokens")) is int:
        return CountAnswer(tokens=told["inputTokens"])
    message = output.get("message") if isinstance(output, dict) else None
    if not isinstance(message, dict):
        raise ValueError("the answer holds no message")  # noqa: TRY004  # likewise
    try:
        content = tuple(read_content(message.get("content") or [], "content", None))
    except BadRequest as fault:
        raise ValueError(fault.message) from fault
    return Answer(
        choices=(read_choice(content, told.get("stopReason"), told.get("trace")),),
        usage=read_usage(_object(told, "usage")),
        service_tier=tier_in(told),
    )


def read_choice(content: tuple[Block, ...], reason: Any, trace: Any) -> Choice:
    """Return the one choice, with why it ended; a guardrail's trace says why it stepped in."""
    if not isinstance(reason, str):
        return Choice(content=content)
    return Choice(
        content=content,
        finish=_REASONS.get(reason) or reason_of(reason),
        detail=reason,
        explanation=explanation_in(trace),
    )


def explanation_in(trace: Any) -> str:
    """Return what a guardrail's trace gives as its reason."""
    guardrail = trace.get("guardrail") if isinstance(trace, dict) else None
    reason = guardrail.get("actionReason") if isinstance(guardrail, dict) else None
    return reason if isinstance(reason, str) else ""


def tier_in(told: dict[str, Any]) -> str:
    """Return the service tier that an answer was made in."""
    tier = _object(told, "serviceTier").get("type")
    return tier if isinstance(tier, str) else ""


def _object(told: dict[str, Any], key: str) -> dict[str, Any]:
    value = told.get(key)
    return value if isinstance(value, dict) else {}


def encode_answer(answer: ModelAnswer) -> dict[str, Any]:
    """Write an answer, or a count; of several choices the first."""
    if isinstance(answer, CountAnswer):
        return {"inputTokens": answer.tokens}
    if not isinstance(answer, Answer):
        raise no_translation()
    choice = answer.choices[0] if answer.choices else Choice()
    written = [write_said(block) for block in choice.content]
    told: dict[str, Any] = {
        "output": {
            "message": {
                "role": "assistant",
                "content": [block for block in written if block is not None],
            }
        },
        "stopReason": stop_of(choice, called=any(isinstance(each, ToolCall) for each in choice.content)),
        "usage": write_usage(answer.usage or Usage()),
        "metrics": {"latencyMs": 0},
    }
    if choice.explanation and choice.finish == "content_filter":
        told["trace"] = {"guardrail": {"actionReason": choice.explanation}}
    if answer.service_tier in _TIERS:
        told["serviceTier"] = {"type": answer.service_tier}
    return told


def stop_of(choice: Choice, *, called: bool) -> str:
    """Write why an answer ended; one that called tools ended for their sake, whatever its provider says."""
    if choice.detail in _REASONS and _REASONS[choice.detail] == choice.finish and choice.finish != "stop":
        reason = choice.detail if choice.detail in _KNOWN else _STOPS[choice.finish]
    else:
        reason = _STOPS[choice.finish or "stop"]
    if reason == "end_turn" and called:
        return "tool_use"
    if reason == "end_turn" and choice.stop_sequence is not None:
        return "stop_sequence"
    return reason


#: What the SDKs know.
_KNOWN: Final = frozenset(_REASONS) - {"refusal", "pause_turn"}


def write_said(block: Block) -> dict[str, Any] | None:
    """Write one block of an answer; None where the dialect has none such, or nothing is in it."""
    if isinstance(block, Text):
        return _text(block) if block.text else None
    if isinstance(block, ToolCall):
        arguments = arguments_object(block.arguments)
        return {"toolUse": {"toolUseId": block.id, "name": block.name, "input": arguments}}
    if isinstance(block, Reasoning):
        thought = write_thought(block)
        return None if thought == _NO_THOUGHT else {"reasoningContent": thought}
    if isinstance(block, Refusal):
        return {"text": block.text} if block.text else None
    return write_rare(block)


def write_rare(block: Block) -> dict[str, Any] | None:
    """Write a block that is told whole."""
    if isinstance(block, Image | Audio):
        kind, table = ("image", IMAGES) if isinstance(block, Image) else ("audio", SOUNDS)
        source = write_source(block.source)
        format = format_of(getattr(block.source, "media_type", ""), table)
        return None if source is None or format is None else {kind: {"format": format, "source": source}}
    return block.value if isinstance(block, Foreign) and block.origin == OWN else None


def _text(block: Text) -> dict[str, Any]:
    citations = [each for each in map(write_citation, block.citations) if each is not None]
    if not citations:
        return {"text": block.text}
    return {"citationsContent": {"content": [{"text": block.text}], "citations": citations}}
