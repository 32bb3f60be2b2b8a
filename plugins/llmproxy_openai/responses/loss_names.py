"""What callers of this API call the things that a translation can lose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LOSS_NAMES: Final[Mapping[str, str]] = {
    "messages": "input",
    "messages.system": "input[].role",
    "system": "instructions",
    "system.cache": "input[].content[].prompt_cache_breakpoint",
    "tools.strict": "tools[].strict",
    "tools.hosted": "tools[]",
    "tool_choice.names": "tool_choice",
    "max_tokens": "max_output_tokens",
    "logprobs": "include",
    "format": "text.format",
    "format.schema": "text.format.schema",
    "format.name": "text.format.name",
    "format.description": "text.format.description",
    "format.strict": "text.format.strict",
    "verbosity": "text.verbosity",
    "thinking": "reasoning",
    "thinking.effort": "reasoning.effort",
    "thinking.budget": "reasoning.effort",
    "thinking.show": "reasoning.summary",
    "content.cache": "input[].content[].prompt_cache_breakpoint",
    "content.image": "input[].content[]",
    "content.audio": "input[].content[]",
    "content.video": "input[].content[]",
    "content.document": "input[].content[]",
    "content.citations": "input[].content[].annotations",
    "content.refusal": "input[].content[].refusal",
    "content.foreign": "input[]",
    "image.detail": "input[].content[].detail",
    "document.title": "input[].content[].filename",
    "reasoning": "input[]",
    "reasoning.signature": "input[].encrypted_content",
    "tool_result.content": "input[].output",
    "streamed": "stream",
}
