"""Writes how much is thought into a body whose messages and tool choice are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmproxy.canonical.deliberation import Circumstances, deliberate
from llmproxy_anthropic.turns import opens_with_thought

if TYPE_CHECKING:
    from llmproxy.canonical import GenerateRequest, Losses
    from llmproxy.canonical.claude import Traits


def write_thinking(request: GenerateRequest, body: dict[str, Any], traits: Traits, losses: Losses) -> None:
    """Put `thinking` and `output_config.effort` into the body; raise `max_tokens` above a budget."""
    if request.thinking is None:
        return
    around = Circumstances(
        forced=body.get("tool_choice", {}).get("type") in ("any", "tool"),
        opened=opens_with_thought(body["messages"]),
        max_tokens=body.get("max_tokens"),
    )
    asked = deliberate(request.thinking, traits, around, losses)
    if asked.thinking is not None:
        body["thinking"] = asked.thinking
    if asked.effort:
        body.setdefault("output_config", {})["effort"] = asked.effort
    if asked.max_tokens is not None:
        body["max_tokens"] = asked.max_tokens
