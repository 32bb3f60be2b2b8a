"""How callers name what canonical fields hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_PART: Final = "messages[].content[]."

LOSS_NAMES: Final[Mapping[str, str]] = {
    "system": "messages",
    "messages.system": "messages[].role",
    "top_p": "p",
    "top_k": "k",
    "stop": "stop_sequences",
    "tools.strict": "strict_tools",
    "tools.hosted": "tools[]",
    "tool_choice.names": "tool_choice",
    "format": "response_format",
    "format.schema": "response_format.json_schema",
    "thinking.effort": "thinking",
    "thinking.budget": "thinking.token_budget",
    "content.image": _PART + "image_url",
    "content.document": "documents",
    "content.citations": "messages[].citations",
    "content.foreign": "messages[].content[]",
    "image.detail": _PART + "image_url.detail",
    "document.title": "documents[].data.title",
    "document.context": "documents[].data",
    "document.cite": "citation_options",
    "reasoning": _PART + "thinking",
    "tool_result.content": _PART + "document",
    "dimensions": "output_dimension",
    "task": "input_type",
    "document_tokens": "max_tokens_per_doc",
}
