"""Token counts: what providers report, in disjoint buckets."""

from __future__ import annotations

from typing import Any, Final

from llmproxy.plugin import Parts, Usage, UsageReader, count_of

# Where providers put the same counts.
_DETAILS_IN = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details", "input_token_details")
_DETAILS_OUT = (
    "completion_tokens_details",
    "output_tokens_details",
    "completion_token_details",
    "output_token_details",
)
#: Seconds of a recording: more than a month is told by mistake.
_LONGEST = 3_000_000
_CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")


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
    total, heard = _count(told, "total_tokens"), _milliseconds(told)
    if into is None and out is None and total is None:
        return Usage(units=heard) if heard else None
    out = out or 0
    into = max(0, (total or 0) - out) if into is None else into
    details_in, details_out = _details(told, _DETAILS_IN), _details(told, _DETAILS_OUT)
    cached = _count(details_in, "cached_tokens") or _first(told, *_CACHED) or 0
    written = _count(details_in, "cache_write_tokens") or _count(told, "cache_creation_input_tokens") or 0
    reasoning = _count(details_out, "reasoning_tokens") or 0
    beyond = max(0, total - into - out) if total is not None else 0
    sound = beyond if heard else 0
    into, beyond = into + sound, beyond - sound
    if beyond:
        more_in, more_out, hidden = _outside(beyond, cached, written, reasoning)
        into, out, reasoning = into + more_in, out + more_out, reasoning + hidden
    cached = min(cached, into)
    written = min(written, into - cached)
    reasoning = min(reasoning, out)
    into -= cached + written
    out -= reasoning
    if not (heard or _is_mixed(details_in) or _is_mixed(details_out)):
        return Usage(into, cached, written, out, reasoning)
    parts = _parts(details_in, details_out, sound, (into, cached, out))
    return Usage(into, cached, written, out, reasoning, heard, parts)


def _is_mixed(told: dict[str, Any]) -> bool:
    """Say whether not all tokens are of text."""
    return bool(told.get("audio_tokens") or told.get("image_tokens"))


def _parts(
    told_in: dict[str, Any], told_out: dict[str, Any], sound: int, most: tuple[int, int, int]
) -> Parts:
    """Return how many tokens are no text; `most` is how many there are: not cached, cached, of output."""
    details = told_in.get("cached_tokens_details")
    cached = details if isinstance(details, dict) else {}
    fresh, kept, made = most
    cached_audio = min(_count(cached, "audio_tokens") or 0, kept)
    cached_image = min(_count(cached, "image_tokens") or 0, kept - cached_audio)
    input_audio = min(max(0, (_count(told_in, "audio_tokens") or sound) - cached_audio), fresh)
    input_image = min(max(0, (_count(told_in, "image_tokens") or 0) - cached_image), fresh - input_audio)
    output_audio = min(_count(told_out, "audio_tokens") or 0, made)
    output_image = min(_count(told_out, "image_tokens") or 0, made - output_audio)
    return Parts(
        input_audio=input_audio,
        input_image=input_image,
        cached_audio=cached_audio,
        cached_image=cached_image,
        output_audio=output_audio,
        output_image=output_image,
    )


def _milliseconds(told: dict[str, Any]) -> int:
    """Return how long a recording is that was heard, as OpenAI or Mistral tell it; 0 where they do not."""
    seconds = told.get("seconds") or told.get("prompt_audio_seconds")
    if seconds is None:
        return 0
    if type(seconds) is not int and type(seconds) is not float:
        return 0
    return round(seconds * 1000) if 0 < seconds < _LONGEST else 0


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
    return count_of(told.get(key))


def _first(told: dict[str, Any], *keys: str) -> int | None:
    for key in keys:
        if (count := count_of(told.get(key))) is not None:
            return count
    return None


def _details(told: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    for key in keys:
        value = told.get(key)
        if isinstance(value, dict):
            return value
    return {}


#: Finds what `read_usage` reads.
USAGE: Final = UsageReader("usage", read_usage)
