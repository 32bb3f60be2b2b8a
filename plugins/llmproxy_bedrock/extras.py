"""`additionalModelRequestFields`: what single families of models take beside what is common to all, read by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import Thinking
from llmproxy_bedrock.values import a_count, a_text, a_text_or_nothing, an_object, refuse, tell_rest

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

Read = dict[str, Any]

WHERE: Final = "additionalModelRequestFields"


def read_extras(value: Any, read: Read, losses: Losses) -> None:
    """Read what other providers know too; the rest is reported."""
    told = an_object(value, WHERE)
    for key, given in told.items():
        reader = _READERS.get(key)
        if given is None:
            continue
        if reader is None:
            losses.add(f"{WHERE}.{key}", "it is for the one model that it was written for")
        else:
            reader(given, f"{WHERE}.{key}", read, losses)


def _top_k(value: Any, where: str, read: Read, losses: Losses) -> None:
    read["top_k"] = a_count(value, where)


def _claude(value: Any, where: str, read: Read, losses: Losses) -> None:
    """Read Anthropic's thinking; some models call it `reasoning_config`, others call an effort so."""
    if isinstance(value, str):
        read["thinking"] = Thinking(effort=value)
        return
    told = an_object(value, where)
    kind, budget = told.get("type"), told.get("budget_tokens")
    if kind not in ("enabled", "adaptive", "disabled"):
        refuse(f"{where}.type", "must be enabled, adaptive or disabled")
    shown = a_text_or_nothing(told.get("display"), f"{where}.display")
    read["thinking"] = Thinking(
        enabled=kind != "disabled",
        budget=None if budget is None else a_count(budget, f"{where}.budget_tokens"),
        adaptive=kind == "adaptive",
        show="auto" if shown == "summarized" else shown,
    )
    tell_rest(told, ("type", "budget_tokens", "display"), where, losses)


def _nova(value: Any, where: str, read: Read, losses: Losses) -> None:
    told = an_object(value, where)
    kind = told.get("type")
    if kind not in ("enabled", "disabled"):
        refuse(f"{where}.type", "must be enabled or disabled")
    effort = a_text_or_nothing(told.get("maxReasoningEffort"), f"{where}.maxReasoningEffort")
    read["thinking"] = Thinking(enabled=kind == "enabled", effort=effort)
    tell_rest(told, ("type", "maxReasoningEffort"), where, losses)


def _effort(value: Any, where: str, read: Read, losses: Losses) -> None:
    read["thinking"] = Thinking(effort=a_text(value, where))


def _inference(value: Any, where: str, read: Read, losses: Losses) -> None:
    told = an_object(value, where)
    if told.get("topK") is not None:
        read["top_k"] = a_count(told["topK"], f"{where}.topK")
    tell_rest(told, ("topK",), where, losses)


_READERS: Final[dict[str, Callable[[Any, str, Read, Losses], None]]] = {
    "top_k": _top_k,
    "k": _top_k,
    "thinking": _claude,
    "reasoning_config": _claude,
    "reasoningConfig": _nova,
    "reasoning_effort": _effort,
    "inferenceConfig": _inference,
}
