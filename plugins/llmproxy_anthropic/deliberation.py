"""Writes how much is thought, by what the model takes: a budget below `max_tokens`, or an effort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy_anthropic.traits import Traits
from llmproxy_anthropic.turns import opens_with_thought

if TYPE_CHECKING:
    from llmproxy.canonical import GenerateRequest, Losses, Thinking

LEAST_BUDGET: Final = 1024
_BUDGET_OF: Final = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 32_000,
    "max": 32_000,
}
_DEFAULT_BUDGET: Final = 8192
_ORDER: Final = ("low", "medium", "high", "xhigh", "max")


def write_thinking(request: GenerateRequest, body: dict[str, Any], traits: Traits, losses: Losses) -> None:
    """Put `thinking` and `output_config.effort` into a body whose messages and tool choice are written."""
    thinking = request.thinking
    if thinking is None:
        return
    if thinking.enabled is False or thinking.effort == "none":
        _off(thinking, body, traits, losses)
    elif not (thinking.enabled or thinking.effort or thinking.budget or thinking.adaptive):
        if thinking.show:
            losses.lose("thinking.show", "nothing was said of thinking itself")
    elif not traits.thinks:
        losses.lose("thinking", "the model does not think")
    elif traits.adaptive and (thinking.budget is None or not traits.budgets):
        _adaptive(thinking, body, traits, losses)
    else:
        _budgeted(thinking, body, traits, losses)


def _off(thinking: Thinking, body: dict[str, Any], traits: Traits, losses: Losses) -> None:
    if not traits.can_stop_thinking:
        losses.lose("thinking", "the model always thinks")
    elif traits.thinks:
        body["thinking"] = {"type": "disabled"}
    if thinking.effort in traits.efforts:
        body.setdefault("output_config", {})["effort"] = thinking.effort


def _adaptive(thinking: Thinking, body: dict[str, Any], traits: Traits, losses: Losses) -> None:
    body["thinking"] = {"type": "adaptive"}
    effort = thinking.effort
    if thinking.budget is not None:
        if not effort:
            effort = next((each for each in _ORDER if thinking.budget <= _BUDGET_OF[each]), "max")
        losses.lose("thinking.budget", f"the model takes no budget; its effort is {effort}")
    if effort:
        asked = effort if effort in traits.efforts else _nearest(effort, traits.efforts)
        if asked != effort:
            losses.lose("thinking.effort", f"the model knows no effort {effort}; {asked} is asked for")
        body.setdefault("output_config", {})["effort"] = asked
    _show(thinking, body, losses)


def _nearest(effort: str, known: tuple[str, ...]) -> str:
    if effort not in _ORDER:
        return known[0]
    below = [each for each in known if _ORDER.index(each) <= _ORDER.index(effort)]
    return below[-1]


def _budgeted(thinking: Thinking, body: dict[str, Any], traits: Traits, losses: Losses) -> None:
    choice = body.get("tool_choice", {}).get("type")
    if choice in ("any", "tool"):
        losses.lose("thinking", "the model cannot think where a tool call is forced, so it does not")
        return
    if not opens_with_thought(body["messages"]):
        losses.lose(
            "thinking", "the thought before the last tool calls is missing, so the model does not think"
        )
        return
    budget = thinking.budget
    if budget is None:
        budget = _BUDGET_OF.get(thinking.effort, _DEFAULT_BUDGET)
        if thinking.effort:
            losses.lose("thinking.effort", f"it became a budget of {budget} tokens")
        elif thinking.adaptive:
            losses.lose("thinking", f"the model wants a budget: {budget} tokens")
    elif thinking.effort:
        losses.lose("thinking.effort", f"the budget of {budget} tokens says it")
    if budget < LEAST_BUDGET:
        losses.lose("thinking.budget", f"it was raised to {LEAST_BUDGET}, the least there is")
        budget = LEAST_BUDGET
    _fit(budget, body, traits, losses)
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    _show(thinking, body, losses)


def _fit(budget: int, body: dict[str, Any], traits: Traits, losses: Losses) -> None:
    """Keep the budget below `max_tokens`, which it is part of."""
    if "max_tokens" in body and body["max_tokens"] <= budget:
        raised = budget + min(body["max_tokens"], traits.max_tokens)
        losses.lose("max_tokens", f"it was raised to {raised}: thinking is part of it")
        body["max_tokens"] = raised


def _show(thinking: Thinking, body: dict[str, Any], losses: Losses) -> None:
    if thinking.show:
        body["thinking"]["display"] = "omitted" if thinking.show == "omitted" else "summarized"
        if thinking.show not in ("auto", "omitted"):
            losses.lose("thinking.show", "a summary is asked for, of no particular length")
