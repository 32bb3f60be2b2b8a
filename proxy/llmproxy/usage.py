"""What an answer used, as its provider told it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

#: Beyond it a float is no exact whole number.
_EXACT: Final = 2.0**53


class Parts(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many of a usage's tokens are no text, where that was told: they may have prices of their own.

    Those of input are of the bucket `input`, the cached ones of `cache_read`, those of output of `output`.
    """

    input_audio: int = 0
    input_image: int = 0
    input_video: int = 0
    cached_audio: int = 0
    cached_image: int = 0
    output_audio: int = 0
    output_image: int = 0


class Usage(msgspec.Struct, frozen=True):
    """Tokens in disjoint buckets; their sum is the provider's total.

    `units` is what a provider counts and bills beside tokens, each at the price that a call of the model has: searches
    of a rerank, milliseconds of a recording, characters that are spoken, pictures. `parts` says what tokens are of.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    units: int = 0
    parts: Parts | None = None

    @property
    def total(self) -> int:
        """All tokens."""
        return self.input + self.cache_read + self.cache_write + self.output + self.reasoning


def count_of(value: Any) -> int | None:
    """Return a count, None for what is none; servers that have floats alone write a fraction of zero."""
    if type(value) is float and value.is_integer() and value < _EXACT:
        value = int(value)
    return value if type(value) is int and value >= 0 else None
