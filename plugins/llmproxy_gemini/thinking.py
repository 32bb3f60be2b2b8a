"""How much a model may think: a level since Gemini 3, a budget of tokens in 2.5, nothing before."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from llmproxy.canonical import Losses, Thinking
from llmproxy_gemini.fields import boolean, integer, lose_rest, members, word

_WHERE: Final = "generationConfig.thinkingConfig"
_KNOWN: Final = frozenset({"thinkingBudget", "thinkingLevel", "includeThoughts"})
_VERSION: Final = re.compile(r"gemini-(\d+)(?:[.-](\d)(?!\d))?")
_AUTOMATIC: Final = -1
# Models of which no version is known are taken for the newest.
_NEWEST: Final = (99, 0)

_LEVELS: Final = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
# As Google's own endpoint in OpenAI's dialect maps efforts to budgets.
_BUDGETS: Final = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_STRONGER: Final = frozenset({"xhigh", "max"})
# The least that 2.5 Pro can be brought down to.
_LEAST_OF_PRO: Final = 128


@lru_cache(maxsize=256)
def version(model: str) -> tuple[int, int]:
    """Return the generation of a model, told by its name."""
    if "gemma" in model or "learnlm" in model:
        return (1, 0)
    found = _VERSION.search(model)
    return _NEWEST if found is None else (int(found[1]), int(found[2] or 0))


def read_thinking(value: object, losses: Losses) -> Thinking | None:
    """Return what a `thinkingConfig` asks for."""
    told = members(value, _WHERE)
    lose_rest(told, _KNOWN, _WHERE, losses)
    # Thoughts are not shown unless they are asked for.
    enabled, budget, adaptive, show = None, None, False, "omitted"
    if "thinkingBudget" in told:
        budget = integer(told["thinkingBudget"], f"{_WHERE}.thinkingBudget")
        enabled = budget != 0
        adaptive = budget == _AUTOMATIC
    if "includeThoughts" in told:
        show = "auto" if boolean(told["includeThoughts"], f"{_WHERE}.includeThoughts") else "omitted"
    level = word(told, "thinkingLevel", _WHERE).lower()
    effort = "" if level == "thinking_level_unspecified" else level
    if not told:
        return None
    return Thinking(
        enabled=enabled,
        effort=effort,
        budget=budget if budget and budget > 0 else None,
        adaptive=adaptive,
        show=show,
    )


def write_thinking(thinking: Thinking, model: str, losses: Losses) -> dict[str, Any]:
    """Return the `thinkingConfig` for a model; what it cannot be told is reported."""
    of = version(model)
    if of < (2, 5):
        losses.lose("thinking", "models before Gemini 2.5 do not think")
        return {}
    written = _by_level(thinking, model, losses) if of >= (3, 0) else _by_budget(thinking, model, losses)
    shown = _shown(thinking, losses)
    if shown is not None:
        written["includeThoughts"] = shown
    return written


def _shown(thinking: Thinking, losses: Losses) -> bool | None:
    if thinking.show in ("concise", "detailed"):
        losses.lose("thinking.show", "thoughts are shown as Gemini sums them up")
    if thinking.show:
        return thinking.show != "omitted"
    # Who turns thinking on by itself, and does not name a mere effort, reads the thoughts.
    return True if thinking.enabled and (thinking.adaptive or not thinking.effort) else None


def _off(thinking: Thinking) -> bool:
    return thinking.enabled is False or thinking.effort == "none"


def _by_level(thinking: Thinking, model: str, losses: Losses) -> dict[str, Any]:
    least = "LOW" if "pro" in model else "MINIMAL"
    if _off(thinking):
        losses.lose("thinking", f"Gemini 3 always thinks: {least} is the least it can be asked for")
        return {"thinkingLevel": least}
    if thinking.effort in _STRONGER:
        losses.lose("thinking.effort", f"{thinking.effort} is asked for as HIGH, the most there is")
        level = "HIGH"
    else:
        level = _LEVELS.get(thinking.effort, "")
    if level == "MINIMAL" and least != level:
        losses.lose("thinking.effort", "minimal is asked for as LOW, the least that Pro models take")
        level = least
    if level:
        if thinking.budget is not None:
            losses.lose("thinking.budget", "a level and a budget cannot both be set: the level is")
        return {"thinkingLevel": level}
    if thinking.effort:
        losses.lose("thinking.effort", f"Gemini has no level {thinking.effort[:40]!r}")
    return {} if thinking.budget is None else {"thinkingBudget": thinking.budget}


def _by_budget(thinking: Thinking, model: str, losses: Losses) -> dict[str, Any]:
    if _off(thinking):
        if "pro" not in model:
            return {"thinkingBudget": 0}
        losses.lose("thinking", f"2.5 Pro always thinks: {_LEAST_OF_PRO} tokens are the least it takes")
        return {"thinkingBudget": _LEAST_OF_PRO}
    if thinking.budget is not None:
        if thinking.effort:
            losses.lose("thinking.effort", "the budget says how much")
        return {"thinkingBudget": thinking.budget}
    if thinking.effort:
        effort = "high" if thinking.effort in _STRONGER else thinking.effort
        budget = _BUDGETS.get(effort)
        if budget is None:
            losses.lose("thinking.effort", f"{thinking.effort[:40]!r} is no effort that is known here")
            return {}
        losses.lose("thinking.effort", f"it became a budget of {budget} tokens")
        return {"thinkingBudget": budget}
    return {"thinkingBudget": _AUTOMATIC} if thinking.adaptive or thinking.enabled else {}
