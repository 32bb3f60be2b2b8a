"""How many tokens a request can come to at most, before it is sent.

A token of a byte-level vocabulary stands for one byte at least, so the bytes of a body bound the tokens of its text;
what stands for more than its bytes (an image by its address, a conversation that the provider keeps) is taken for a
configured number. The answer is bounded by what the request says of it.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import orjson

from llmproxy.plugin import insert_member
from llmproxy_quota.config import QuotaConfig

#: Tokens that providers add of their own, for tools above all.
_ADDED: Final = 1024
_BOUND: Final = re.compile(
    rb'"(?:max_tokens|max_completion_tokens|max_output_tokens|maxOutputTokens|max_tokens_to_sample)"\s*:\s*(\d{1,15})'
)
_ATTACHED: Final = re.compile(
    rb'"(?:image_url|input_image|image|input_audio|audio|video|video_url|document|file|file_id|input_file|inlineData'
    rb'|inline_data|fileData|file_data)"'
)
_KEPT: Final = re.compile(
    rb'"(?:previous_response_id|conversation|cachedContent|cached_content|prompt_id|container)"\s*:'
)
_MEMBERS: Final = (
    ("/chat/completions", ""),
    ("/completions", "max_tokens"),
    ("/responses", "max_output_tokens"),
    ("/messages", "max_tokens"),
)
_GEMINI: Final = (":generateContent", ":streamGenerateContent")


class Bound(NamedTuple):
    """Tokens at most, and about; `body` is what must be sent for it to hold, None for the body as it is."""

    input: int
    output: int
    likely_input: int
    likely_output: int
    body: bytes | None = None


def bound_of(path: str, body: bytes, config: QuotaConfig) -> Bound:
    """Bound what a request comes to; `path` is its path without query."""
    told = _parsed(body)
    attached = len(_ATTACHED.findall(body)) * config.attachment
    kept = config.context if _KEPT.search(body) else 0
    most = len(body) + _ADDED + attached + kept
    likely = len(body) // 4 + (attached + kept) // 8
    times = max(_count(told, "n"), _count(told, "best_of"), _count(_settings(told), "candidateCount"), 1)
    if "mbed" in path:
        return Bound(most, 0, likely, 0)
    given = max((int(number) for number in _BOUND.findall(body)), default=None)
    if given is not None:
        return Bound(most, given * times, likely, min(given, config.expected_output) * times)
    bounded = _with_bound(path, body, told, config)
    expected = min(config.output, config.expected_output)
    return Bound(most, config.output * times, likely, expected * times, bounded)


def _with_bound(path: str, body: bytes, told: Any, config: QuotaConfig) -> bytes | None:
    if not isinstance(told, dict):
        return None
    if path.endswith(_GEMINI):
        settings = {**_settings(told), "maxOutputTokens": config.output}
        name = "generation_config" if "generation_config" in told else "generationConfig"
        return _put(body, told, name, settings)
    for end, member in _MEMBERS:
        if path.endswith(end):
            return _put(body, told, member or config.bound_chat_by, config.output)
    return None


def _put(body: bytes, told: dict[str, Any], name: str, value: Any) -> bytes:
    if name in told:
        # It says nothing (null), so that its place is no other's: the body is written anew.
        return orjson.dumps({**told, name: value})
    return insert_member(body, name, orjson.dumps(value))


def _settings(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):
        return {}
    found = told.get("generationConfig") or told.get("generation_config")
    return found if isinstance(found, dict) else {}


def _count(told: Any, name: str) -> int:
    found = told.get(name) if isinstance(told, dict) else None
    return found if isinstance(found, int) else 1


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
