"""What callers call the fields of the canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OPTIONS: Final = "options."
_FUNCTION: Final = "tools[].function."

#: Canonical names that callers know by another.
LOSS_NAMES: Final[Mapping[str, str]] = {
    "system": "messages",
    "messages.system": "messages[].role",
    "max_tokens": _OPTIONS + "num_predict",
    "temperature": _OPTIONS + "temperature",
    "top_p": _OPTIONS + "top_p",
    "top_k": _OPTIONS + "top_k",
    "min_p": _OPTIONS + "min_p",
    "stop": _OPTIONS + "stop",
    "seed": _OPTIONS + "seed",
    "frequency_penalty": _OPTIONS + "frequency_penalty",
    "presence_penalty": _OPTIONS + "presence_penalty",
    "format.schema": "format",
    "thinking": "think",
    "thinking.effort": "think",
    "content.image": "messages[].images[]",
    "reasoning": "messages[].thinking",
    "tool_call.signature": "messages[].tool_calls[]",
    "tool_result.content": "messages[].content",
    "tools.hosted": "tools[]",
    "tools.strict": _FUNCTION + "parameters",
}
