"""Token counts: what Gemini reports, in disjoint buckets.

`promptTokenCount` includes what came from a cache; `candidatesTokenCount` excludes thoughts; what tools brought into
the prompt is counted apart. Their sum is `totalTokenCount`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from llmproxy.plugin import Parts, Usage, UsageReader, count_of

#: Kinds that are priced as text, a document's pages among them.
_TEXTS: Final = frozenset({"TEXT", "DOCUMENT", "MODALITY_UNSPECIFIED"})


def read_usage(told: Mapping[str, Any]) -> Usage | None:
    """Sort counts into disjoint buckets that sum to the total; None where there are none."""
    counts = {key: count for key, value in told.items() if (count := count_of(value)) is not None}
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
    used = Usage(prompt - cached, cached, 0, output + beyond, reasoning)
    asked = modalities(told, "promptTokensDetails", "promptTokenDetails", "toolUsePromptTokensDetails")
    answered = modalities(told, "candidatesTokensDetails", "responseTokensDetails")
    parts = parts_of(asked, modalities(told, "cacheTokensDetails"), answered, used)
    return used if parts is None else msgspec.structs.replace(used, parts=parts)


def parts_of(
    asked: Mapping[str, int], cached: Mapping[str, int], answered: Mapping[str, int], counts: Usage
) -> Parts | None:
    """Return how many of the counted tokens are no text, where any are, by the modalities that Google tells.

    The prompt's are told with those that came from a cache.
    """
    if not asked and not answered:
        return None
    fresh = counts.input
    cached_audio = min(cached.get("AUDIO", 0), counts.cache_read)
    cached_image = min(cached.get("IMAGE", 0), counts.cache_read - cached_audio)
    audio = min(max(0, asked.get("AUDIO", 0) - cached_audio), fresh)
    image = min(max(0, asked.get("IMAGE", 0) - cached_image), fresh - audio)
    output_audio = min(answered.get("AUDIO", 0), counts.output)
    return Parts(
        input_audio=audio,
        input_image=image,
        input_video=min(asked.get("VIDEO", 0), fresh - audio - image),
        cached_audio=cached_audio,
        cached_image=cached_image,
        output_audio=output_audio,
        output_image=min(answered.get("IMAGE", 0), counts.output - output_audio),
    )


def modalities(told: Mapping[str, Any], *keys: str, count: str = "tokenCount") -> dict[str, int]:
    """Add up the tokens of each modality but text, in the lists under these keys; `count` is their word for a number."""
    found: dict[str, int] = {}
    for key in keys:
        details = told.get(key)
        for each in details if isinstance(details, list) else ():
            kind, number = (each.get("modality"), each.get(count)) if isinstance(each, dict) else ("", 0)
            if isinstance(kind, str) and kind.upper() not in _TEXTS and type(number) is int and number > 0:
                found[kind.upper()] = found.get(kind.upper(), 0) + number
    return found


def written_usage(usage: Usage | None) -> dict[str, Any]:
    """Return the object that callers read; counts that are zero by nature are left out, as Google does."""
    if usage is None:
        return {}
    prompt = usage.input + usage.cache_read + usage.cache_write
    told: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": usage.output,
        "totalTokenCount": usage.total,
    }
    if usage.cache_read:
        told["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        told["thoughtsTokenCount"] = usage.reasoning
    if usage.parts is not None:
        told |= _written_parts(usage, usage.parts)
    return told


def _written_parts(usage: Usage, parts: Parts) -> dict[str, Any]:
    """Return the modalities of a prompt and of an answer, each that has tokens."""
    prompt = usage.input + usage.cache_read + usage.cache_write
    asked = {
        "IMAGE": parts.input_image + parts.cached_image,
        "AUDIO": parts.input_audio + parts.cached_audio,
        "VIDEO": parts.input_video,
    }
    answered = {"IMAGE": parts.output_image, "AUDIO": parts.output_audio}
    cached = {"IMAGE": parts.cached_image, "AUDIO": parts.cached_audio}
    told = {
        "promptTokensDetails": {"TEXT": prompt - sum(asked.values())} | asked,
        "candidatesTokensDetails": {"TEXT": usage.output - sum(answered.values())} | answered,
    }
    if usage.cache_read:
        told["cacheTokensDetails"] = {"TEXT": usage.cache_read - sum(cached.values())} | cached
    return {
        key: [{"modality": kind, "tokenCount": count} for kind, count in counts.items() if count > 0]
        for key, counts in told.items()
    }


#: Finds what `read_usage` reads.
USAGE: Final = UsageReader("usageMetadata", read_usage)


class _Statistics(msgspec.Struct, gc=False):
    token_count: float | None = None


class _Embeddings(msgspec.Struct, gc=False):
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct, gc=False):
    embeddings: _Embeddings | None = None


class _Predicted(msgspec.Struct, gc=False):
    predictions: list[_Prediction] = []


_predicted: Final = msgspec.json.Decoder(_Predicted)


class PredictedUsage(UsageReader):
    """Finds what the vectors of Vertex's `predict` cost: each tells its own. The vectors are not parsed."""

    def whole(self, body: bytes) -> tuple[Usage | None, bool]:
        """Return the usage, and whether the body ends in the middle."""
        usage, cut = super().whole(body)
        return usage or _counted(body), cut


#: Finds what vectors cost, and all else that tells its usage as Gemini does.
PREDICTED: Final = PredictedUsage("usageMetadata", read_usage)


def _counted(body: bytes) -> Usage | None:
    try:
        told = _predicted.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found = [each.embeddings.statistics for each in told.predictions if each.embeddings]
    counts = [each.token_count for each in found if each is not None and each.token_count is not None]
    return Usage(int(sum(counts))) if counts else None
