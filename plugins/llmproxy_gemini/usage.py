"""Token counts: what Gemini reports, in disjoint buckets.

`promptTokenCount` includes what came from a cache; `candidatesTokenCount` excludes thoughts; what tools brought into
the prompt is counted apart. Their sum is `totalTokenCount`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson

from llmproxy.plugin import Usage

_MARK: Final = re.compile(rb'"usageMetadata"[ \t\r\n]*:[ \t\r\n]*\{')
_MAX_OBJECT: Final = 16 * 1024


class _Envelope(msgspec.Struct, gc=False):
    usageMetadata: dict[str, Any] | None = None  # noqa: N815  # the wire's own name


_envelope: Final = msgspec.json.Decoder(_Envelope)


def usage_of_body(body: bytes) -> Usage | None:
    """Read the usage of a whole JSON answer."""
    try:
        told = _envelope.decode(body).usageMetadata
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if told is None else read_usage(told)


def last_usage(data: bytes) -> Usage | None:
    """Read the last usage object in a piece of a stream that may be cut anywhere."""
    at = len(data)
    while (at := data.rfind(b'"usageMetadata"', 0, at)) >= 0:
        mark = _MARK.match(data, at)
        told = None if mark is None else _object_at(data, mark.end() - 1)
        usage = None if told is None else read_usage(told)
        if usage is not None:
            return usage
    return None


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


def _object_at(data: bytes, start: int) -> dict[str, Any] | None:
    """Parse the object that starts at `start`; its strings hold no braces, or it is not read."""
    end, limit = start, start + _MAX_OBJECT
    while (end := data.find(b"}", end, limit) + 1) > 0:
        if data.count(b"{", start, end) == data.count(b"}", start, end):
            try:
                value = orjson.loads(data[start:end])
            except orjson.JSONDecodeError:
                return None
            return value if isinstance(value, dict) else None
    return None
