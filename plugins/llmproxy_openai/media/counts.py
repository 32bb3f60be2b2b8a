"""Usage as the calls for pictures and sound tell it."""

from __future__ import annotations

from typing import Any

from llmproxy.plugin import Parts, Usage


def write_media_usage(usage: Usage) -> dict[str, Any]:
    """Return what a call for pictures or speech used."""
    into, out, parts = _sums(usage)
    return {
        "input_tokens": into,
        "output_tokens": out,
        "total_tokens": into + out,
        "input_tokens_details": {
            "text_tokens": into - parts.input_image,
            "image_tokens": parts.input_image,
        },
        "output_tokens_details": {
            "text_tokens": out - parts.output_image,
            "image_tokens": parts.output_image,
        },
    }


def write_heard_usage(usage: Usage) -> dict[str, Any]:
    """Return what a transcription used: tokens, or the recording's length where there are none."""
    if usage.units and not usage.total:
        return {"type": "duration", "seconds": usage.units / 1000}
    into, out, parts = _sums(usage)
    details = {"text_tokens": into - parts.input_audio, "audio_tokens": parts.input_audio}
    return {
        "type": "tokens",
        "input_tokens": into,
        "input_token_details": details,
        "output_tokens": out,
        "total_tokens": into + out,
    }


def _sums(usage: Usage) -> tuple[int, int, Parts]:
    into = usage.input + usage.cache_read + usage.cache_write
    return into, usage.output + usage.reasoning, usage.parts or Parts()
