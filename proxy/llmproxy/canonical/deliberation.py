"""How much a Claude model is asked to think, by what it takes: a budget below the bound of tokens, or an effort.

The words are Anthropic's, which every cloud that serves its models takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from llmproxy.canonical.claude import Traits
    from llmproxy.canonical.losses import Losses
    from llmproxy.canonical.requests import Thinking

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


class Circumstances(NamedTuple):
    """What else a request says that bears on thinking.

    `forced` says that a tool must be called, `opened` that turns which called tools since the user last spoke open with
    their thought; `max_tokens` bounds thought and answer together, None where nobody set it.
    """

    forced: bool = False
    opened: bool = True
    max_tokens: int | None = None


class Deliberation(NamedTuple):
    """What is asked for: Anthropic's `thinking`, None to say nothing; an effort, "" for none; the bound of tokens."""

    thinking: dict[str, Any] | None = None
    effort: str = ""
    max_tokens: int | None = None


def deliberate(
    thinking: Thinking | None, traits: Traits, around: Circumstances, losses: Losses
) -> Deliberation:
    """Return what is asked of the model; what it does not take is reported."""
    silent = Deliberation(None, "", around.max_tokens)
    if thinking is None:
        return silent
    if thinking.enabled is False or thinking.effort == "none":
        return _off(thinking, traits, silent, losses)
    if not (thinking.enabled or thinking.effort or thinking.budget or thinking.adaptive):
        if thinking.show:
            losses.lose("thinking.show", "nothing was said of thinking itself")
        return silent
    if not traits.thinks:
        losses.lose("thinking", "the model does not think")
        return silent
    if traits.adaptive and (thinking.budget is None or not traits.budgets):
        return _adaptive(thinking, traits, silent, losses)
    return _budgeted(thinking, traits, around, losses)


def _off(thinking: Thinking, traits: Traits, silent: Deliberation, losses: Losses) -> Deliberation:
    told = None
    if not traits.can_stop_thinking:
        losses.lose("thinking", "the model always thinks")
    elif traits.thinks:
        told = {"type": "disabled"}
    return silent._replace(thinking=told, effort=thinking.effort if thinking.effort in traits.efforts else "")


def _adaptive(thinking: Thinking, traits: Traits, silent: Deliberation, losses: Losses) -> Deliberation:
    effort = thinking.effort
    if thinking.budget is not None:
        if not effort:
            effort = next((each for each in _ORDER if thinking.budget <= _BUDGET_OF[each]), "max")
        losses.lose("thinking.budget", f"the model takes no budget; its effort is {effort}")
    if effort:
        asked = effort if effort in traits.efforts else _nearest(effort, traits.efforts)
        if asked != effort:
            losses.lose("thinking.effort", f"the model knows no effort {effort}; {asked} is asked for")
        effort = asked
    return silent._replace(thinking=_shown({"type": "adaptive"}, thinking, losses), effort=effort)


def _nearest(effort: str, known: tuple[str, ...]) -> str:
    if effort not in _ORDER:
        return known[0]
    below = [each for each in known if _ORDER.index(each) <= _ORDER.index(effort)]
    return below[-1]


def _budgeted(thinking: Thinking, traits: Traits, around: Circumstances, losses: Losses) -> Deliberation:
    silent = Deliberation(None, "", around.max_tokens)
    if around.forced:
        losses.lose("thinking", "the model cannot think where a tool call is forced, so it does not")
        return silent
    if not around.opened:
        losses.lose(
            "thinking", "the thought before the last tool calls is missing, so the model does not think"
        )
        return silent
    budget = _budget(thinking, losses)
    bound = around.max_tokens
    if bound is not None and bound <= budget:
        bound = budget + min(bound, traits.max_tokens)
        losses.lose("max_tokens", f"it was raised to {bound}: thinking is part of it")
    return Deliberation(
        _shown({"type": "enabled", "budget_tokens": budget}, thinking, losses), max_tokens=bound
    )


def _budget(thinking: Thinking, losses: Losses) -> int:
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
        return LEAST_BUDGET
    return budget


def _shown(told: dict[str, Any], thinking: Thinking, losses: Losses) -> dict[str, Any]:
    if thinking.show:
        told["display"] = "omitted" if thinking.show == "omitted" else "summarized"
        if thinking.show not in ("auto", "omitted"):
            losses.lose("thinking.show", "a summary is asked for, of no particular length")
    return told
