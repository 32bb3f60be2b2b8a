"""How Bedrock's callers name what the canonical form holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_BLOCK: Final = "messages[].content[]"
_CONFIG: Final = "inferenceConfig."
_EXTRA: Final = "additionalModelRequestFields"

LOSS_NAMES: Final[Mapping[str, str]] = {
    "max_tokens": _CONFIG + "maxTokens",
    "temperature": _CONFIG + "temperature",
    "top_p": _CONFIG + "topP",
    "top_k": _EXTRA + ".top_k",
    "stop": _CONFIG + "stopSequences",
    "metadata": "requestMetadata",
    "service_tier": "serviceTier",
    "format": "outputConfig.textFormat",
    "format.schema": "outputConfig.textFormat.structure.jsonSchema.schema",
    "format.name": "outputConfig.textFormat.structure.jsonSchema.name",
    "format.description": "outputConfig.textFormat.structure.jsonSchema.description",
    "thinking": _EXTRA + ".thinking",
    "thinking.effort": "outputConfig.effort",
    "thinking.budget": _EXTRA + ".thinking.budget_tokens",
    "thinking.show": _EXTRA + ".thinking.display",
    "tools.strict": "toolConfig.tools[].toolSpec.strict",
    "tools.cache": "toolConfig.tools[].cachePoint",
    "tools.hosted": "toolConfig.tools[]",
    "tool_choice": "toolConfig.toolChoice",
    "tool_choice.names": "toolConfig.toolChoice.tool.name",
    "system.cache": "system[].cachePoint",
    "messages.system": "messages[].role",
    "content.cache": f"{_BLOCK}.cachePoint",
    "content.image": f"{_BLOCK}.image",
    "content.audio": f"{_BLOCK}.audio",
    "content.video": f"{_BLOCK}.video",
    "content.document": f"{_BLOCK}.document",
    "content.citations": f"{_BLOCK}.citationsContent.citations",
    "content.foreign": _BLOCK,
    "document.title": f"{_BLOCK}.document.name",
    "document.context": f"{_BLOCK}.document.context",
    "document.cite": f"{_BLOCK}.document.citations.enabled",
    "reasoning": f"{_BLOCK}.reasoningContent",
    "reasoning.signature": f"{_BLOCK}.reasoningContent.reasoningText.signature",
    "tool_result.is_error": f"{_BLOCK}.toolResult.status",
    "tool_result.content": f"{_BLOCK}.toolResult.content",
}
