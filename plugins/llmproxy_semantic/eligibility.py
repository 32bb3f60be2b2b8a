"""Which questions are never matched by likeness, though another of the same form may answer them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from llmproxy_semantic.features import MOST_WORDS

if TYPE_CHECKING:
    from llmproxy.plugin import Asked
    from llmproxy_semantic.features import Features

#: The temperature above which a caller wants to be surprised.
WARMEST: Final = 1.0

_COUNTS: Final = ("n", "candidate_count", "candidateCount", "best_of")
_CHOSEN: Final = ("logprobs", "top_logprobs", "responseLogprobs", "seed", "logit_bias")
_TOOLS: Final = ("tools", "functions", "tool_choice", "toolConfig")
#: Where the earlier turns are, where each of them says something, and what one is that tools are in, or more than text.
_TURNS: Final = ("messages", "input", "contents")
_CONTENT: Final = ("content", "parts")
_TOOL_ROLES: Final = frozenset({"tool", "function"})
_CALLS: Final = frozenset(
    {
        *("tool_calls", "tool_call_id", "function_call", "tool_use", "tool_result", "function_call_output"),
        *("functionCall", "functionResponse", "function_response", "server_tool_use"),
    }
)
_MEDIA: Final = frozenset(
    {
        *(
            "image_url",
            "input_image",
            "image",
            "input_audio",
            "audio",
            "video",
            "file",
            "input_file",
            "document",
        ),
        *("inlineData", "inline_data", "fileData", "file_data"),
    }
)
_SETTINGS: Final = ("generationConfig", "generation_config", "options")


def why_not(asked: Asked, features: Features, *, warmest: float = WARMEST, timely: bool = False) -> str:
    """Return why a question is never matched by likeness, in a word; empty if it may be.

    `timely` says that answers are kept so shortly that what "today" means does not change meanwhile.
    """
    told: Iterable[tuple[str, bool]] = (
        ("long", features.length > MOST_WORDS),
        ("empty", not features.words),
        ("code", "code" in features.traits),
        ("outside", "outside" in features.traits),
        ("wording", "wording" in features.traits),
        ("clock", "clock" in features.traits and not timely),
        ("temperature", asked.temperature is not None and asked.temperature > warmest),
    )
    return next((name for name, holds in told if holds), "") or _why_not_rest(asked.rest)


def _why_not_rest(rest: Mapping[str, Any]) -> str:
    for settings in (rest, *(rest[name] for name in _SETTINGS if isinstance(rest.get(name), dict))):
        if any(settings.get(name) for name in _TOOLS):
            return "tools"
        if any(settings.get(name) not in {None, 1} for name in _COUNTS):
            return "several"
        if any(settings.get(name) is not None and settings[name] is not False for name in _CHOSEN):
            return "chosen"
    turns = next((rest[name] for name in _TURNS if isinstance(rest.get(name), list)), ())
    return next(filter(None, map(_why_not_turn, turns)), "")


def _why_not_turn(turn: Any) -> str:
    """Return why an earlier turn keeps a question from being matched."""
    if not isinstance(turn, dict):
        return ""
    if turn.get("role") in _TOOL_ROLES or not _CALLS.isdisjoint(turn) or turn.get("type") in _CALLS:
        return "tools"
    parts = [part for name in _CONTENT if isinstance(turn.get(name), list) for part in turn[name]]
    kinds = {kind for part in parts if isinstance(part, dict) for kind in (*part, part.get("type"))}
    if not _CALLS.isdisjoint(kinds):
        return "tools"
    return "" if _MEDIA.isdisjoint(kinds) else "media"
