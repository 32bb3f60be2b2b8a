"""Token counts: what Cohere bills, and what it counts; both in disjoint buckets.

`billed_units` is what an account pays for: tokens without those that Cohere's own templates add, searches of a ranking,
pictures. `tokens` is all that the model read and wrote, `cached_tokens` how much of that came from a cache. The ledger
takes what is billed; an answer in another dialect tells all tokens, as that dialect's readers expect. Source: Cohere's
API reference, Chat v2 (`usage`), Embed and Rerank (`meta`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmproxy.plugin import Parts, Usage, UsageReader, count_of

#: What is billed by the piece.
_UNITS: Final = ("search_units", "images", "classifications", "pages")


def billed_usage(told: Mapping[str, Any]) -> Usage | None:
    """Return what is billed; what was counted where nothing is said of a bill, None where nothing is told."""
    billed = told.get("billed_units")
    if not isinstance(billed, dict):
        return counted_usage(told)
    found = {key: number for key in billed if (number := _count(billed, key)) is not None}
    if not found:
        return counted_usage(told)
    pictures = found.get("image_tokens", 0)
    into = max(found.get("input_tokens", 0), found.get("text_tokens", 0) + pictures)
    output = found.get("output_tokens", 0)
    reasoning = min(_reasoning(told), output)
    units = sum(found.get(key, 0) for key in _UNITS)
    parts = Parts(input_image=pictures) if pictures else None
    return Usage(into, 0, 0, output - reasoning, reasoning, units, parts)


def counted_usage(told: Mapping[str, Any]) -> Usage | None:
    """Return all tokens, or what is billed where they are not told; None where there are neither."""
    for counts in (told.get("tokens"), told.get("billed_units")):
        if isinstance(counts, dict) and counts:
            into, out = _count(counts, "input_tokens") or 0, _count(counts, "output_tokens") or 0
            cached = min(_count(told, "cached_tokens") or 0, into)
            reasoning = min(_reasoning(told), out)
            units = sum(_count(counts, key) or 0 for key in _UNITS)
            return Usage(into - cached, cached, 0, out - reasoning, reasoning, units)
    return None


def written_usage(usage: Usage | None) -> dict[str, Any]:
    """Return the object that callers of chat read; both counts are the same where another provider told them."""
    if usage is None:
        return {}
    into = usage.input + usage.cache_read + usage.cache_write
    counts = {"input_tokens": into, "output_tokens": usage.output + usage.reasoning}
    tokens = counts | ({"reasoning_tokens": usage.reasoning} if usage.reasoning else {})
    told: dict[str, Any] = {"billed_units": counts, "tokens": tokens}
    return told | ({"cached_tokens": usage.cache_read} if usage.cache_read else {})


def _reasoning(told: Mapping[str, Any]) -> int:
    tokens = told.get("tokens")
    return (_count(tokens, "reasoning_tokens") or 0) if isinstance(tokens, dict) else 0


def _count(told: Mapping[str, Any], key: str) -> int | None:
    """Return a count; the reference calls them numbers, with a fraction of zero."""
    return count_of(told.get(key))


class _Reader(UsageReader):
    """Finds what chat tells in `usage`, and all other calls in `meta`."""

    def whole(self, body: bytes) -> tuple[Usage | None, bool]:
        """Read the usage of a whole JSON answer, and whether it ends in the middle."""
        usage, cut = super().whole(body)
        return (usage, cut) if cut or usage is not None else META.whole(body)

    def last(self, data: bytes) -> Usage | None:
        """Read the last usage in a piece of JSON text."""
        return super().last(data) or META.last(data)


META: Final = UsageReader("meta", billed_usage)
USAGE: Final = _Reader("usage", billed_usage)
