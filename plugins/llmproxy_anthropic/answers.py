"""Whole answers, both ways."""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.canonical import (
    Answer,
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
from llmproxy.plugin import BadRequest, Usage, error_of, no_translation
from llmproxy_anthropic.blocks import read_content
from llmproxy_anthropic.citations import write_citation
from llmproxy_anthropic.settling import settled
from llmproxy_anthropic.thoughts import OWN, write_thought
from llmproxy_anthropic.usage import read_usage, write_usage
from llmproxy_anthropic.writing import write_source

_STOPS: Final[dict[FinishReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "context": "model_context_window_exceeded",
    "malformed": "refusal",
    "error": "refusal",
}
_EXPLAINED: Final[dict[FinishReason, str]] = {
    "content_filter": "The provider's filter stopped the answer.",
    "malformed": "The model's tool call could not be read by its provider.",
    "error": "The provider ended the answer with an error.",
}
_TIERS: Final = {"standard": "default"}
#: How Anthropic's callers call the tier that an answer was made in.
TIERS: Final = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}


def decode_answer(body: bytes) -> Answer | CountAnswer:
    """Read a message, or a count of tokens.

    Raises:
        ProviderError: it says in a good status that it failed.
        ValueError: it is neither.
    """
    told = orjson.loads(body)
    if not isinstance(told, dict):
        raise ValueError("the answer is no object")  # noqa: TRY004  # what callers wait for
    if told.get("type") == "error" or (told.get("error") and "content" not in told):
        raise error_of(told)
    if "content" not in told and type(told.get("input_tokens")) is int:
        return CountAnswer(tokens=told["input_tokens"])
    try:
        content = tuple(read_content(_settled(told.get("content")), "content", None))
    except BadRequest as fault:
        raise ValueError(fault.message) from fault
    return Answer(
        id=text_in(told, "id"),
        model=text_in(told, "model"),
        choices=(read_choice(content, told),),
        usage=read_usage(usage_in(told)),
        service_tier=tier_in(usage_in(told)),
    )


def _settled(content: Any) -> Any:
    return [settled(block) for block in content] if isinstance(content, list) else content


def read_choice(content: tuple[Block, ...], told: dict[str, Any]) -> Choice:
    """Return the one choice, with why it ended."""
    reason = told.get("stop_reason")
    if not isinstance(reason, str):
        return Choice(content=content)
    sequence, details = told.get("stop_sequence"), told.get("stop_details")
    return Choice(
        content=content,
        finish="pause" if reason == "compaction" else reason_of(reason),
        stop_sequence=sequence if isinstance(sequence, str) else None,
        detail=reason,
        explanation=text_in(details, "explanation") if isinstance(details, dict) else "",
    )


def text_in(told: dict[str, Any], key: str) -> str:
    """Return a member that is a string; "" where it is none."""
    value = told.get(key)
    return value if isinstance(value, str) else ""


def usage_in(told: dict[str, Any]) -> dict[str, Any] | None:
    """Return the usage object."""
    usage = told.get("usage")
    return usage if isinstance(usage, dict) else None


def tier_in(usage: dict[str, Any] | None) -> str:
    """Return the service tier, which stands in the usage."""
    tier = "" if usage is None else text_in(usage, "service_tier")
    return _TIERS.get(tier, tier)


def encode_answer(answer: ModelAnswer, model: str, name: str) -> dict[str, Any]:
    """Write a message, or a count; of several choices the first. `model` and `name` stand in where none is told."""
    if isinstance(answer, CountAnswer):
        return {"input_tokens": answer.tokens}
    if not isinstance(answer, Answer):
        raise no_translation()
    choice = answer.choices[0] if answer.choices else Choice()
    written = [write_said(block) for block in choice.content]
    called = any(isinstance(block, ToolCall) for block in choice.content)
    usage = write_usage(answer.usage or Usage())
    if answer.service_tier in TIERS:
        usage["service_tier"] = TIERS[answer.service_tier]
    return {
        "id": answer.id or f"msg_{name}",
        "type": "message",
        "role": "assistant",
        "model": answer.model or model,
        "content": [block for block in written if block is not None],
        **stop_of(choice.finish, choice.stop_sequence, choice.explanation, called=called),
        "usage": usage,
    }


def stop_of(
    finish: FinishReason | None, sequence: str | None, explanation: str, *, called: bool
) -> dict[str, Any]:
    """Write why an answer ended; one that called tools ended for their sake, whatever its provider says."""
    if finish is None:
        return {"stop_reason": None, "stop_sequence": None}
    reason = _STOPS[finish]
    if reason == "end_turn" and called:
        reason = "tool_use"
    elif reason == "end_turn" and sequence is not None:
        reason = "stop_sequence"
    stop: dict[str, Any] = {"stop_reason": reason, "stop_sequence": sequence}
    if reason == "refusal" and (why := explanation or _EXPLAINED.get(finish, "")):
        stop["stop_details"] = {"type": "refusal", "category": None, "explanation": why}
    return stop


def write_said(block: Block) -> dict[str, Any] | None:
    """Write one block of an answer; None where the dialect has none such, or nothing is in it."""
    if isinstance(block, Text):
        return _text(block) if block.text else None
    if isinstance(block, ToolCall):
        return {
            "type": "tool_use",
            "id": block.id,
            "name": block.name,
            "input": arguments_object(block.arguments),
        }
    if isinstance(block, Reasoning):
        return write_thought(block)
    if isinstance(block, Refusal):
        return {"type": "text", "text": block.text} if block.text else None
    if isinstance(block, Image):
        source = write_source(block.source)
        return None if source is None else {"type": "image", "source": source}
    return block.value if isinstance(block, Foreign) and block.origin == OWN else None


def _text(block: Text) -> dict[str, Any]:
    if not block.citations:
        return {"type": "text", "text": block.text}
    written = [write_citation(each, asked=False) for each in block.citations]
    citations = [each for each in written if each is not None]
    return {"type": "text", "text": block.text, "citations": citations or None}
