"""Token counts: what Amazon reports, in disjoint buckets, and back.

Converse tells them in its answer; of a model that is invoked natively the head of a whole answer tells them, the last
chunk of a stream, or else the answer itself, in its model's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from llmproxy.plugin import Headers, Usage, UsageReader, count_of

#: Where the last chunk of a native stream tells what was used.
METRICS: Final = "amazon-bedrock-invocationMetrics"

_HEAD: Final = "x-amzn-bedrock-%s-token-count"

#: What each bucket is called: by Converse, in metrics, in the models' own answers.
_INPUT: Final = (
    "inputTokens",
    "inputTokenCount",
    "input_tokens",
    "prompt_tokens",
    "inputTextTokenCount",
    "prompt_token_count",
)
_OUTPUT: Final = (
    "outputTokens",
    "outputTokenCount",
    "output_tokens",
    "completion_tokens",
    "totalOutputTextTokenCount",
    "generation_token_count",
)
_CACHE_READ: Final = (
    "cacheReadInputTokens",
    "cacheReadInputTokenCount",
    "cache_read_input_tokens",
)
_CACHE_WRITE: Final = (
    "cacheWriteInputTokens",
    "cacheWriteInputTokenCount",
    "cache_creation_input_tokens",
)


def read_usage(told: Mapping[str, Any]) -> Usage | None:
    """Sort counts into buckets; None where there are none. Input leaves out what a cache gave or took."""
    into, out = _count(told, _INPUT), _count(told, _OUTPUT)
    if into is None and out is None:
        return None
    return Usage(into or 0, _count(told, _CACHE_READ) or 0, _count(told, _CACHE_WRITE) or 0, out or 0)


def write_usage(usage: Usage) -> dict[str, Any]:
    """Write the buckets as AWS's SDKs read them."""
    told = {
        "inputTokens": usage.input,
        "outputTokens": usage.output + usage.reasoning,
        "totalTokens": usage.total,
    }
    if usage.cache_read or usage.cache_write:
        told["cacheReadInputTokens"] = usage.cache_read
        told["cacheWriteInputTokens"] = usage.cache_write
    return told


def usage_of_head(headers: Headers) -> Usage | None:
    """Read what the head of a natively invoked model's answer tells."""
    found = {
        key: int(value)
        for key, name in _NAMES.items()
        if (value := headers.index.get(name)) is not None and value.isdigit()
    }
    return read_usage(found)


_NAMES: Final = {
    "inputTokens": (_HEAD % "input").encode(),
    "outputTokens": (_HEAD % "output").encode(),
    "cacheReadInputTokens": (_HEAD % "cache-read-input").encode(),
    "cacheWriteInputTokens": (_HEAD % "cache-write-input").encode(),
}


def usage_of_answer(told: Any) -> Usage | None:
    """Read what a natively invoked model's own answer tells, or one chunk of it."""
    if not isinstance(told, dict):
        return None
    results = told.get("results")
    inner = results[0] if isinstance(results, list) and results else None
    if isinstance(inner, dict):  # Titan's, which counts each of its results
        told = {**told, "outputTokens": inner.get("tokenCount")}
    for place in (told.get(METRICS), told.get("usage"), told):
        if isinstance(place, dict) and (usage := read_usage(place)) is not None:
            return usage
    return None


class InvokedUsage(UsageReader):
    """Finds the usage of a natively invoked model: in the answer's head, or else in the answer."""

    __slots__ = ("_told",)

    def __init__(self, headers: Headers) -> None:
        super().__init__("usage", read_usage)
        self._told = usage_of_head(headers)

    def whole(self, body: bytes) -> tuple[Usage | None, bool]:
        """Return the usage, and whether the body ends in the middle."""
        usage, cut = super().whole(body)
        return self._told or usage or _inside(body), cut

    def last(self, data: bytes) -> Usage | None:
        """Return the usage of an answer whose end alone is here."""
        return self._told or super().last(data)


def _inside(body: bytes) -> Usage | None:
    try:
        return usage_of_answer(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None


def _count(told: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    for key in keys:
        if (count := count_of(told.get(key))) is not None:
            return count
    return None


#: Finds what Converse tells.
USAGE: Final = UsageReader("usage", read_usage)
