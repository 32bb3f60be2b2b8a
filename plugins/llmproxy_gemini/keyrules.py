"""What of a request decides its answer, in Gemini's dialect.

The model stands in the path. Names may come with underscores, as protocol buffers allow.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from llmproxy.plugin import KeyRules, Turns

_HEADERS: Final = {"x-goog-user-project": "", "x-goog-api-version": ""}
_FORM_QUERY: Final = frozenset({"alt", "key", "prettyPrint", "$prettyPrint"})
_NULL: Final[tuple[Any, ...]] = (None,)

#: Kinds of tool whose calls the caller answers.
_OWN_TOOLS: Final = frozenset(
    {"functionDeclarations", "function_declarations", "computerUse", "computer_use"}
)
_GENERATING: Final = (":streamGenerateContent", ":generateContent")

_CONFIG: Final[dict[str, tuple[Any, ...]]] = {
    "candidateCount": (None, 1),
    "frequencyPenalty": (None, 0),
    "presencePenalty": (None, 0),
    "responseLogprobs": (None, False),
    "responseMimeType": (None, "", "text/plain"),
    "stopSequences": (None, []),
    **dict.fromkeys(
        (
            "logprobs",
            "maxOutputTokens",
            "mediaResolution",
            "responseJsonSchema",
            "responseModalities",
            "responseSchema",
            "seed",
            "speechConfig",
            "temperature",
            "thinkingConfig",
            "topK",
            "topP",
        ),
        _NULL,
    ),
}


def hosted(tool: Any) -> bool:
    """Say whether the provider runs a tool."""
    return not isinstance(tool, dict) or not _OWN_TOOLS.issuperset(tool)


GENERATE: Final = KeyRules(
    kind="generate",
    ignored=frozenset({"model", "labels", "serviceTier"}),
    defaults={
        "cachedContent": (None, ""),
        "generationConfig": (None, {}),
        "safetySettings": (None, []),
        "systemInstruction": _NULL,
        "toolConfig": (None, {}, {"functionCallingConfig": {"mode": "AUTO"}}),
        "tools": (None, []),
    },
    inside={"generationConfig": _CONFIG},
    camel=True,
    texts=(("systemInstruction", "parts"),),
    turns=Turns("contents", "parts", asking=frozenset({"user", None})),
    temperature=("generationConfig", "temperature"),
    grounds={"cachedContent": "references", "store": "stored"},
    hosted=hosted,
    references=(
        ("fileData", "fileUri"),
        ("fileData", "file_uri"),
        ("file_data", "fileUri"),
        ("file_data", "file_uri"),
    ),
    nested=(("functionResponse", "parts"), ("function_response", "parts")),
    headers=_HEADERS,
    verbs=_GENERATING,
    form_query=_FORM_QUERY,
    whole=re.compile(rb'"finishReason"\s*:\s*"STOP"'),
    flawed=re.compile(
        rb'"finishReason"\s*:\s*"(?!STOP")|"blockReason"\s*:|"blocked"\s*:\s*true|"error"\s*:\s*\{\s*"code"'
    ),
)

COUNT: Final = KeyRules(
    kind="count",
    deterministic=True,
    exact=True,
    ignored=frozenset({"model"}),
    camel=True,
    turns=GENERATE.turns,
    grounds=GENERATE.grounds,
    references=GENERATE.references,
    headers=_HEADERS,
    form_query=_FORM_QUERY,
    whole=re.compile(rb'"totalTokens"\s*:\s*\d'),
)

EMBED: Final = KeyRules(
    kind="embeddings",
    deterministic=True,
    ignored=frozenset({"model"}),
    defaults={"title": (None, ""), "taskType": _NULL, "outputDimensionality": _NULL},
    camel=True,
    texts=(("content", "parts"), ("requests", "*", "content", "parts")),
    references=GENERATE.references,
    headers=_HEADERS,
    form_query=_FORM_QUERY,
    whole=re.compile(rb'"values"\s*:\s*\['),
)

#: Only a seed makes the same pictures again, and only without a watermark.
PREDICT: Final = KeyRules(
    kind="predict",
    exact=True,
    ignored=frozenset({"model", "labels"}),
    headers=_HEADERS,
    whole=re.compile(rb'"predictions"\s*:\s*\['),
    flawed=re.compile(rb'"raiFilteredReason"'),
)

#: The same call for vectors; models that make them say so by their name.
VECTORS: Final = KeyRules(
    kind="predict",
    deterministic=True,
    exact=True,
    ignored=PREDICT.ignored,
    headers=_HEADERS,
    whole=re.compile(rb'"values"\s*:\s*\['),
)

_BY_VERB: Final[dict[str, KeyRules]] = {
    "generateContent": GENERATE,
    "streamGenerateContent": GENERATE,
    "countTokens": COUNT,
    "embedContent": EMBED,
    "batchEmbedContents": EMBED,
    "predict": PREDICT,
}


@lru_cache(maxsize=512)
def rules_of(path: str) -> KeyRules | None:
    """Return the rules of the call that a path is, or None where nobody knows what it does."""
    verb = path.rpartition(":")[2]
    return VECTORS if verb == "predict" and "embedding" in path else _BY_VERB.get(verb)
