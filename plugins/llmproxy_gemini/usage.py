"""Token counts: what Gemini reports, in disjoint buckets.

`promptTokenCount` includes what came from a cache; `candidatesTokenCount` excludes thoughts; what tools brought into
the prompt is counted apart. Their sum is `totalTokenCount`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmproxy.plugin import Usage, UsageReader


def read_usage(told: Mapping[str, Any]) -> Usage | None:
    """Sort counts into disjoint buckets that sum to the total; None where there are none."""
    counts = {key: value for key, value in told.items() if type(value) is int and value >= 0}
    if not counts:
        return None
    prompt = counts.get("promptTokenCount", 0) + counts.get("toolUsePromptTokenCount", 0)
    # The Live API and some of Vertex's models call the answer's tokens so.
    output = counts.get("candidatesTokenCount", counts.get("responseTokenCount", 0))
    reasoning = counts.get("thoughtsTokenCount", 0)
    beyond = max(0, counts.get("totalTokenCount", 0) - prompt - output - reasoning)
    if "promptTokenCount" not in counts:
        prompt, beyond = prompt + beyond, 0
    cached = min(counts.get("cachedContentTokenCount", 0), prompt)
    return Usage(prompt - cached, cached, 0, output + beyond, reasoning)


def written_usage(usage: Usage | None) -> dict[str, int]:
    """Return the object that callers read; counts that are zero by nature are left out, as Google does."""
    if usage is None:
        return {}
    prompt = usage.input + usage.cache_read + usage.cache_write
    told = {"promptTokenCount": prompt, "candidatesTokenCount": usage.output, "totalTokenCount": usage.total}
    if usage.cache_read:
        told["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        told["thoughtsTokenCount"] = usage.reasoning
    return told


#: Finds what `read_usage` reads.
USAGE: Final = UsageReader("usageMetadata", read_usage)
