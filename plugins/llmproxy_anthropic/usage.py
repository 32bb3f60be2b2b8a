"""Token counts: what Anthropic reports, in disjoint buckets, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmproxy.plugin import Usage, UsageReader, count_of


def read_usage(*told: Mapping[str, Any] | None) -> Usage | None:
    """Sort counts into disjoint buckets; None where there are none. What is told later replaces what was before.

    `input_tokens` leaves out what was read from a cache or written to one; `output_tokens` includes thought, which
    has a bucket of its own only where `output_tokens_details` tells it.
    """
    found: dict[str, Any] = {}
    for each in told:
        if each is not None:
            found.update((key, value) for key, value in each.items() if value is not None)
    into, out = _count(found, "input_tokens"), _count(found, "output_tokens")
    if into is None and out is None:
        return None
    output = out or 0
    details = found.get("output_tokens_details")
    thought = _count(details, "thinking_tokens") if isinstance(details, dict) else None
    reasoning = min(thought or 0, output)
    return Usage(
        into or 0,
        _count(found, "cache_read_input_tokens") or 0,
        _count(found, "cache_creation_input_tokens") or 0,
        output - reasoning,
        reasoning,
    )


def write_usage(usage: Usage) -> dict[str, Any]:
    """Write the buckets as Anthropic's SDKs read them."""
    told: dict[str, Any] = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output + usage.reasoning,
    }
    if usage.reasoning:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return told


def _count(told: Mapping[str, Any], key: str) -> int | None:
    return count_of(told.get(key))


#: Finds what `read_usage` reads.
USAGE: Final = UsageReader("usage", read_usage)
