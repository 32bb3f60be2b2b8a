"""Token counts: where they stand, and in which buckets they belong."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from llmproxy.plugin import ConfigError, Headers, Usage
from llmproxy_declared.places import NOTHING, Given, Place

_BUCKETS: Final = ("input", "cache_read", "cache_write", "output", "reasoning", "total")
#: More is no count of tokens.
_MOST: Final = 2**40
_DIGITS: Final = 12
#: What stands before the name of a header field.
_HEADER: Final = "header:"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class UsageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where counts stand. `details` says whether `input` and `output` count what comes from caches and is thought.

    A count is a number, or a list: of that many tokens, or with `*` in its path of counts to be added up. One that the
    answer's head tells is written as `header:NAME`; what its body tells counts more.
    """

    input: Given = ()
    cache_read: Given = ()
    cache_write: Given = ()
    output: Given = ()
    reasoning: Given = ()
    total: Given = ()
    details: Literal["within", "beside"] = "within"

    def __post_init__(self) -> None:
        _ = UsageReader(self)
        if not any(getattr(self, bucket) for bucket in ("input", "output", "total")):
            raise ConfigError("", "names no path of input, output or total")


class UsageReader:
    """Reads counts as they come, and sorts them into disjoint buckets."""

    def __init__(self, config: UsageConfig | None = None) -> None:
        self._places: list[tuple[str, Place]] = []
        self._fields: list[tuple[str, str]] = []
        self._within = config is None or config.details == "within"
        for bucket in _BUCKETS if config else ():
            given = getattr(config, bucket)
            texts = (given,) if isinstance(given, str) else given
            self._fields += [(bucket, name) for text in texts if (name := _field(text, bucket))]
            place = Place(tuple(text for text in texts if not text.startswith(_HEADER)), bucket)
            if place:
                self._places.append((bucket, place))

    def read_head(self, headers: Headers, counts: dict[str, int]) -> None:
        """Take what an answer's head tells."""
        for bucket, name in self._fields:
            value = headers.get(name) or ""
            if value.isascii() and value.isdigit() and len(value) <= _DIGITS:
                counts[bucket] = int(value)

    def read(self, document: Any, counts: dict[str, int]) -> None:
        """Add what a document tells to what is known: of each count the last one counts."""
        for bucket, place in self._places:
            count = _count(place.find(document), summed=place.is_of_many)
            if count is not None:
                counts[bucket] = count

    def of(self, document: Any, headers: Headers | None = None) -> Usage | None:
        """Return what one document and its head tell."""
        counts: dict[str, int] = {}
        if headers is not None:
            self.read_head(headers, counts)
        self.read(document, counts)
        return self.sort(counts)

    def sort(self, counts: dict[str, int]) -> Usage | None:
        """Return disjoint buckets whose sum is the total that was told; None where nothing was."""
        if not counts:
            return None
        into, out, total = counts.get("input"), counts.get("output", 0), counts.get("total")
        cached, written = counts.get("cache_read", 0), counts.get("cache_write", 0)
        thought = counts.get("reasoning", 0)
        if not self._within:
            into, out = None if into is None else into + cached + written, out + thought
        if into is None:
            into = max(0, (total or 0) - out)
        if total is not None and "output" not in counts:
            out = max(0, total - into)
        elif total is not None:
            out += max(0, total - into - out)
        cached = min(cached, into)
        written = min(written, into - cached)
        thought = min(thought, out)
        return Usage(into - cached - written, cached, written, out - thought, thought)


def _field(text: str, bucket: str) -> str:
    """Return the name of a header field, "" where a path is meant."""
    if not text.startswith(_HEADER):
        return ""
    name = text.removeprefix(_HEADER).strip()
    if not _TOKEN.fullmatch(name):
        raise ConfigError(bucket, f"{name!r} is not a header name")
    return name


def _count(value: Any, *, summed: bool) -> int | None:
    if type(value) is list:
        if not summed:
            return len(value) or None
        parts = [_count(item, summed=False) for item in value]
        return sum(part for part in parts if part is not None) if any(p is not None for p in parts) else None
    if value is NOTHING or type(value) not in (int, float):
        return None
    return int(value) if 0 <= value <= _MOST and value == int(value) else None
