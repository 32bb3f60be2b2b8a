"""What a call must have used where nobody told it: what was seen of its answer, and its upper bounds. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import ceil
from typing import Any, Final

import orjson

from llmproxy.plugin import Tiers, Usage, price_usage

#: Bytes of a token of text, about: every tokenizer in use has more of English, fewer of code.
_OF_A_TOKEN: Final = 4
#: Bytes of a stream's last piece in which its text is looked for.
_LOOKED_AT: Final = 16 * 1024
_TEXT: Final = re.compile(
    rb'"(?:content|text|delta|partial_json|arguments|thinking|reasoning|reasoning_content|refusal)"'
    rb'\s*:\s*"((?:[^"\\]|\\.)*)"'
)
_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens", "maxOutputTokens")
_LIMIT: Final = re.compile(
    rb'"(?:max_completion_tokens|max_output_tokens|max_tokens|maxOutputTokens)"\s*:\s*(\d{1,9})'
)


class Seen:
    """An observer of a stream that counts its events, to tell about how many tokens left with them."""

    __slots__ = ("_last", "events", "size")

    def __init__(self) -> None:
        self.events = 0
        self.size = 0
        self._last = b""

    def feed(self, data: bytes) -> None:
        """Count one piece."""
        self.size += len(data)
        self.events += data.count(b"data:")
        self._last = data

    def end(self) -> None:
        """Nothing is left to count."""

    def fail(self, error: BaseException) -> None:
        """What was seen stays so."""

    @property
    def tokens(self) -> int:
        """About how many tokens of output were seen: one an event, more where events hold longer texts."""
        if not self.events:
            return ceil(self.size / _OF_A_TOKEN)
        last = self._last[-_LOOKED_AT:]
        pieces = _TEXT.findall(last)
        if not pieces:
            return self.events
        tokens = sum(max(1, ceil(len(piece) / _OF_A_TOKEN)) for piece in pieces)
        return ceil(self.events * tokens / max(last.count(b"data:"), 1))


def quick_limit(body: bytes, otherwise: int) -> int:
    """Return the largest limit of output that stands anywhere in a body, without reading it."""
    first = body.find(b'"max')
    return otherwise if first < 0 else max(map(int, _LIMIT.findall(body, first)), default=otherwise)


def output_limit(body: bytes, otherwise: int) -> int:
    """Return how many tokens a request lets its answers have in all."""
    try:
        told: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return otherwise
    if not isinstance(told, Mapping):
        return otherwise
    own = told.get("generationConfig")
    places = [told, own] if isinstance(own, Mapping) else [told]
    limits = [_count(place.get(name)) for place in places for name in _LIMITS]
    choices = max([1, *(_count(place.get(name)) for place in places for name in ("n", "candidateCount"))])
    return (max(limits) or otherwise) * choices


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def ceiling(size: int, most: int, rates: Tiers) -> Usage:
    """Return what a call may have used at most, in the buckets that cost most; a token has a byte at least."""
    bounds = [
        Usage(**{into: size, out: most})
        for into in ("input", "cache_write")
        for out in ("output", "reasoning")
    ]
    return max(bounds, key=lambda usage: price_usage(usage, rates) if rates else 0)
