"""What of a request decides its answer, in Bedrock's dialect; the model stands in the path."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from llmproxy.plugin import KeyRules, Turns

_NULL: Final[tuple[Any, ...]] = (None,)
_FILES: Final = tuple(
    (kind, "source", "s3Location", "uri") for kind in ("image", "document", "video", "audio")
)


def hosted(tool: Any) -> bool:
    """Say whether the provider runs a tool."""
    return not isinstance(tool, dict) or "systemTool" in tool


CONVERSE: Final = KeyRules(
    kind="converse",
    ignored=frozenset({"modelId", "requestMetadata", "serviceTier", "performanceConfig"}),
    defaults={
        "system": (None, []),
        "toolConfig": _NULL,
        "inferenceConfig": (None, {}),
        "outputConfig": _NULL,
        "additionalModelRequestFields": (None, {}),
        "additionalModelResponseFieldPaths": (None, []),
        "guardrailConfig": _NULL,
        "promptVariables": (None, {}),
    },
    inside={
        "inferenceConfig": {
            **dict.fromkeys(("maxTokens", "temperature", "topP"), _NULL),
            "stopSequences": (None, []),
        }
    },
    texts=(("system",),),
    turns=Turns("messages"),
    temperature=("inferenceConfig", "temperature"),
    tools=("toolConfig", "tools"),
    grounds={"guardrailConfig": "references", "promptVariables": "references"},
    hosted=hosted,
    references=_FILES,
    nested=(("toolResult", "content"),),
    verbs=("/converse-stream", "/converse"),
    whole=re.compile(rb'"stopReason"\s*:\s*"'),
    flawed=re.compile(rb'"stopReason"\s*:\s*"(?!(?:end_turn|tool_use|stop_sequence)")|:exception-type'),
)

COUNT: Final = KeyRules(
    kind="count",
    deterministic=True,
    exact=True,
    whole=re.compile(rb'"inputTokens"\s*:\s*\d'),
)

_RULES: Final = {"converse": CONVERSE, "converse-stream": CONVERSE, "count-tokens": COUNT}


@lru_cache(maxsize=512)
def rules_of(path: str) -> KeyRules | None:
    """Return the rules of the call that a path is, or None where nobody knows what it does."""
    return _RULES.get(path.rpartition("/")[2])
