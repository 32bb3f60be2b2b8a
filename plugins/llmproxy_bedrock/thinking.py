"""Writes how much is thought, by what the model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical.deliberation import Circumstances, deliberate

if TYPE_CHECKING:
    from llmproxy.canonical import GenerateRequest, Losses, Thinking
    from llmproxy_bedrock.models import Habits

_BUDGETS: Final = ((2048, "low"), (8192, "medium"))
_LEVELS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


def write_thinking(request: GenerateRequest, body: dict[str, Any], habits: Habits, losses: Losses) -> None:
    """Put thinking into a body whose messages, tool choice and bounds are written."""
    thinking = request.thinking
    if thinking is None:
        return
    if habits.claude is not None:
        _as_claude(thinking, body, habits, losses)
    elif thinking.enabled is False or thinking.effort == "none":
        if habits.thinks == "nova":
            _extra(body)["reasoningConfig"] = {"type": "disabled"}
        elif habits.thinks:
            losses.lose("thinking", "it cannot be switched off for this model")
    elif not habits.thinks:
        losses.lose("thinking", "nothing is known of how this model is told to think")
    else:
        _as_effort(thinking, body, habits, losses)


def opens_with_thought(messages: list[dict[str, Any]]) -> bool:
    """Say whether turns that called tools since the user last spoke open with their thought."""
    for message in reversed(messages):
        kinds = [next(iter(block)) for block in message["content"]]
        if message["role"] == "user" and "toolResult" not in kinds:
            return True
        if message["role"] == "assistant" and "toolUse" in kinds and kinds[0] != "reasoningContent":
            return False
    return True


def _as_claude(thinking: Thinking, body: dict[str, Any], habits: Habits, losses: Losses) -> None:
    assert habits.claude is not None
    config = body.get("inferenceConfig", {})
    around = Circumstances(
        forced=body.get("toolConfig", {}).get("toolChoice", {}).keys() & {"any", "tool"} != set(),
        opened=opens_with_thought(body["messages"]),
        max_tokens=config.get("maxTokens"),
    )
    asked = deliberate(thinking, habits.claude, around, losses)
    if asked.thinking is not None:
        _extra(body)["thinking"] = asked.thinking
    if asked.effort:
        body.setdefault("outputConfig", {})["effort"] = asked.effort
    if asked.max_tokens is not None:
        config["maxTokens"] = asked.max_tokens


def _as_effort(thinking: Thinking, body: dict[str, Any], habits: Habits, losses: Losses) -> None:
    effort = thinking.effort
    if thinking.budget is not None:
        effort = effort or next((word for most, word in _BUDGETS if thinking.budget <= most), "high")
        losses.lose("thinking.budget", f"the model takes no budget; its effort is {effort}")
    if not effort:
        effort = "medium"
    level = _LEVELS.get(effort, "medium")
    if level != effort:
        losses.lose("thinking.effort", f"the model knows no effort {effort}; {level} is asked for")
    if thinking.show:
        losses.lose("thinking.show", "the model shows what it shows")
    if habits.thinks == "nova":
        _extra(body)["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": level}
    else:
        _extra(body)["reasoning_effort" if habits.thinks == "effort" else "reasoning_config"] = level


def _extra(body: dict[str, Any]) -> dict[str, Any]:
    extra: dict[str, Any] = body.setdefault("additionalModelRequestFields", {})
    return extra
