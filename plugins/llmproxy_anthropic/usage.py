"""Token counts: what Anthropic reports, in disjoint buckets, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson

from llmproxy.plugin import Usage

_KEY: Final = b'"usage"'
_MAX_OBJECT: Final = 16 * 1024


class _Envelope(msgspec.Struct, gc=False):
    usage: dict[str, Any] | None = None


_envelope: Final = msgspec.json.Decoder(_Envelope)


def usage_of_body(body: bytes) -> Usage | None:
    """Read the `usage` member of a whole JSON answer."""
    try:
        told = _envelope.decode(body).usage
    except (msgspec.DecodeError, RecursionError):
        return None
    return read_usage(told)


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


def first_usage(data: bytes) -> dict[str, Any] | None:
    """Read the first usage object in a piece of a stream that may be cut anywhere."""
    at = data.find(_KEY)
    return None if at < 0 else _object_after(data, at + len(_KEY))


def last_usage(data: bytes) -> dict[str, Any] | None:
    """Read the last whole usage object likewise."""
    at = len(data)
    while (at := data.rfind(_KEY, 0, at)) >= 0:
        told = _object_after(data, at + len(_KEY))
        if told is not None:
            return told
    return None


def _object_after(data: bytes, at: int) -> dict[str, Any] | None:
    """Parse the object that is the value of a key ending at `at`; its strings hold no braces, or it is not read."""
    start = data.find(b"{", at, at + 8)
    if start < 0 or data[at:start].strip(b" \t\r\n") != b":":
        return None
    end, limit = start, start + _MAX_OBJECT
    while (end := data.find(b"}", end, limit) + 1) > 0:
        if data.count(b"{", start, end) == data.count(b"}", start, end):
            try:
                value = orjson.loads(data[start:end])
            except orjson.JSONDecodeError:
                return None
            return value if isinstance(value, dict) else None
    return None


def _count(told: Mapping[str, Any], key: str) -> int | None:
    value = told.get(key)
    return value if type(value) is int and value >= 0 else None
