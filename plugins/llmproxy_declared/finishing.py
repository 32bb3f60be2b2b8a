"""Why an answer ended, in the endpoint's word and in ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, get_args

import msgspec

from llmproxy.canonical import FinishReason
from llmproxy.plugin import ConfigError
from llmproxy_declared.places import NOTHING, PATHS, Given, Place
from llmproxy_declared.suggesting import near

#: Words that servers use, in small letters.
_KNOWN: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "completed": "stop",
    "finished": "stop",
    "succeeded": "stop",
    "success": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_length": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "error": "error",
    "refusal": "refusal",
}
_REASONS: Final[tuple[str, ...]] = get_args(FinishReason)


class FinishConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the word stands that says why an answer ended, and what the endpoint's own words mean."""

    at: Given
    words: dict[str, str] = {}

    shorthand: ClassVar[Mapping[str, object]] = PATHS

    def __post_init__(self) -> None:
        _ = Place(self.at, "at")
        for word, reason in self.words.items():
            if reason not in _REASONS:
                known = ", ".join(_REASONS)
                raise ConfigError(
                    f"words.{word}", f"{reason!r} is not one of {known}", near(reason, _REASONS)
                )

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`finish: /reason` is a path."""
        return {"at": tree} if isinstance(tree, str | list) else tree


class FinishReader:
    """Reads why an answer ended."""

    def __init__(self, config: FinishConfig | None) -> None:
        self._place = Place(config.at if config else ())
        self._words: dict[str, Any] = {**_KNOWN, **(config.words if config else {})}

    def read(self, document: Any) -> tuple[FinishReason, str] | None:
        """Return the reason and the endpoint's own word for it; None where it says none, or not yet."""
        value = self._place.find(document)
        if value is NOTHING or value == "":
            return None
        if type(value) is bool:
            return ("stop", "") if value else None
        word = str(value)[:200] if isinstance(value, str | int) else ""
        return self._words.get(word) or self._words.get(word.lower(), "stop"), word
