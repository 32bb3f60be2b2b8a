"""How Anthropic's callers name what the canonical form holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_BLOCK: Final = "messages[].content[]"

LOSS_NAMES: Final[Mapping[str, str]] = {
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "stop": "stop_sequences",
    "user": "metadata.user_id",
    "streamed": "stream",
    "format": "output_config.format",
    "format.schema": "output_config.format.schema",
    "thinking.effort": "output_config.effort",
    "thinking.budget": "thinking.budget_tokens",
    "thinking.show": "thinking.display",
    "tools.strict": "tools[].strict",
    "tools.cache": "tools[].cache_control",
    "tools.hosted": "tools[]",
    "tool_choice.names": "tool_choice.name",
    "system.cache": "system[].cache_control",
    "messages.system": "messages[].role",
    "content.cache": f"{_BLOCK}.cache_control",
    "content.image": _BLOCK,
    "content.document": _BLOCK,
    "content.citations": f"{_BLOCK}.citations",
    "content.foreign": _BLOCK,
    "document.title": f"{_BLOCK}.title",
    "document.context": f"{_BLOCK}.context",
    "document.cite": f"{_BLOCK}.citations.enabled",
    "reasoning": _BLOCK,
    "reasoning.signature": f"{_BLOCK}.signature",
    "tool_result.is_error": f"{_BLOCK}.is_error",
    "tool_result.content": f"{_BLOCK}.content",
}
