"""Token counts: what providers report, in disjoint buckets."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import orjson

from llmproxy.plugin import Usage

_MARK = re.compile(rb'"usage"[ \t\r\n]*:[ \t\r\n]*\{')
_MAX_OBJECT = 16 * 1024

# Where providers put the same counts.
_DETAILS_IN = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details", "input_token_details")
_DETAILS_OUT = ("completion_tokens_details", "output_tokens_details", "completion_token_details")
_CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")


class _Envelope(msgspec.Struct, gc=False):
    usage: dict[str, Any] | None = None


_envelope = msgspec.json.Decoder(_Envelope)


def usage_of_body(body: bytes) -> Usage | None:
    """Read the `usage` member of a whole JSON answer."""
    try:
        told = _envelope.decode(body).usage
    except (msgspec.DecodeError, RecursionError):
        return None
    return None if told is None else read_usage(told)


def last_usage(data: bytes) -> Usage | None:
    """Read the last usage object in a piece of JSON text, or of a stream of it, that may be cut anywhere."""
    at = len(data)
    while (at := data.rfind(b'"usage"', 0, at)) >= 0:
        mark = _MARK.match(data, at)
        told = None if mark is None else _object_at(data, mark.end() - 1)
        usage = None if told is None else read_usage(told)
        if usage is not None:
            return usage
    return None


def read_usage(told: dict[str, Any]) -> Usage | None:
    """Sort a provider's counts into disjoint buckets that sum to its total; None where there are none."""
    if len(told) == 3:
        # The plain shape of many servers, without the detour through what others add.
        into, out = told.get("prompt_tokens"), told.get("completion_tokens")
        if type(into) is int and type(out) is int and told.get("total_tokens") == into + out >= out >= 0:
            return Usage(into, 0, 0, out, 0)
    into, out = (
        _first(told, "prompt_tokens", "input_tokens"),
        _first(told, "completion_tokens", "output_tokens"),
    )
    total = _count(told, "total_tokens")
    if into is None and out is None and total is None:
        return None
    out = out or 0
    into = max(0, (total or 0) - out) if into is None else into
    details_in, details_out = _details(told, _DETAILS_IN), _details(told, _DETAILS_OUT)
    cached = _count(details_in, "cached_tokens") or _first(told, *_CACHED) or 0
    written = _count(details_in, "cache_write_tokens") or _count(told, "cache_creation_input_tokens") or 0
    reasoning = _count(details_out, "reasoning_tokens") or 0
    beyond = max(0, total - into - out) if total is not None else 0
    if beyond:
        more_in, more_out, hidden = _outside(beyond, cached, written, reasoning)
        into, out, reasoning = into + more_in, out + more_out, reasoning + hidden
    cached = min(cached, into)
    written = min(written, into - cached)
    reasoning = min(reasoning, out)
    return Usage(into - cached - written, cached, written, out - reasoning, reasoning)


def _outside(beyond: int, cached: int, written: int, reasoning: int) -> tuple[int, int, int]:
    """Say what a total counts beyond its two sums: more input, more output, and reasoning not told of.

    xAI's completion tokens exclude reasoning, Gemini's too without saying how much it was, and some servers'
    prompt tokens exclude what came from a cache.
    """
    if beyond == reasoning:
        return 0, reasoning, 0
    if beyond in (cached, cached + written):
        return beyond, 0, 0
    if beyond == cached + written + reasoning:
        return cached + written, reasoning, 0
    return 0, beyond, beyond


def _count(told: dict[str, Any], key: str) -> int | None:
    value = told.get(key)
    return value if type(value) is int and value >= 0 else None


def _first(told: dict[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = told.get(key)
        if type(value) is int and value >= 0:
            return value
    return None


def _details(told: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    for key in keys:
        value = told.get(key)
        if isinstance(value, dict):
            return value
    return {}


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
