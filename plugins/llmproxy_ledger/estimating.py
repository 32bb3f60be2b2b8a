"""What a call must have used where nobody told it: what was seen of its answer, and its upper bounds. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import ceil
from typing import Any, Final

import orjson
from msgspec.structs import replace

from llmproxy.plugin import Tiers, Usage, price_usage

#: Bytes of a token of text, about: every tokenizer in use has more of English, fewer of code.
_OF_A_TOKEN: Final = 4
#: Bytes of a stream's last piece in which its text is looked for.
_LOOKED_AT: Final = 16 * 1024
_TEXT: Final = re.compile(
    rb'"(?:content|text|response|delta|partial_json|arguments|thinking|reasoning|reasoning_content|refusal)"'
    rb'\s*:\s*"((?:[^"\\]|\\.)*)"'
)
_CHAT: Final = ("max_completion_tokens", "max_tokens", "max_tokens_to_sample")
_RESPONSES: Final = ("max_output_tokens",)
_GEMINI: Final = ("maxOutputTokens", "max_output_tokens")
#: Where the limit stands that is no member of the request itself, by the end of a path.
_SETTINGS: Final[tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...]] = (
    (("/api/chat", "/api/generate"), ("options",), ("num_predict",)),
    (("/converse", "/converse-stream"), ("inferenceConfig",), ("maxTokens",)),
)
_GEMINIS: Final = ("generationConfig", "generation_config")
_TIMES: Final = ("n", "best_of", "candidateCount", "candidate_count")
_LIMIT: Final = re.compile(
    rb'"(?:max_completion_tokens|max_output_tokens|max_tokens|maxOutputTokens)"\s*:\s*(\d{1,9})(?=\s*[,}])'
)


#: What each event has once, by how a stream begins that is none of server-sent events.
_MARKS: Final = {b"{": b"}\n", b"\0": b":event-type"}


class Seen:
    """An observer of a stream that counts its events, to tell about how many tokens left with them.

    Events are server-sent, or lines of JSON, or frames of AWS: each has its mark.
    """

    __slots__ = ("_last", "_mark", "events", "size")

    def __init__(self) -> None:
        self.events = 0
        self.size = 0
        self._last = self._mark = b""

    def feed(self, data: bytes) -> None:
        """Count one piece."""
        self.size += len(data)
        self._mark = self._mark or _MARKS.get(data[:1], b"data:")
        self.events += data.count(self._mark)
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
        return ceil(self.events * tokens / max(last.count(self._mark), 1))


def quick_limit(body: bytes, otherwise: int) -> int:
    """Return the largest limit of output that stands anywhere in a body, without reading it."""
    first = body.find(b'"max')
    return otherwise if first < 0 else max(map(int, _LIMIT.findall(body, first)), default=otherwise)


def output_limit(body: bytes, otherwise: int, path: str) -> int:
    """Return how many tokens a request lets its answers have in all, by the members that a call to this path has."""
    try:
        told: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return otherwise
    if not isinstance(told, Mapping):
        return otherwise
    names: tuple[str, ...] = _RESPONSES if path.endswith("/responses") else _CHAT
    settings: tuple[str, ...] = ()
    if ":" in path.rpartition("/")[2]:
        settings, names = _GEMINIS, _GEMINI
    for ends, own_settings, own_names in _SETTINGS:
        if path.endswith(ends):
            settings, names = own_settings, own_names
    if settings:
        told = next((own for name in settings if isinstance(own := told.get(name), Mapping)), {})
    most = max(_count(told.get(name)) for name in names) or otherwise
    return most * max(1, *(_count(told.get(name)) for name in _TIMES)) * _prompts(told.get("prompt"))


def _prompts(value: object) -> int:
    """Return how many prompts a list holds; tokens of one prompt are numbers."""
    return max(1, sum(not isinstance(each, int) for each in value)) if isinstance(value, list) else 1


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def ceiling(size: int, most: int, rates: Tiers) -> Usage:
    """Return what a call may have used at most, in the buckets that cost most; a token has a byte at least."""
    bounds = [
        replace(Usage(), **{into: size, out: most})
        for into in ("input", "cache_write")
        for out in ("output", "reasoning")
    ]
    return max(bounds, key=lambda usage: price_usage(usage, rates) if rates else 0)
