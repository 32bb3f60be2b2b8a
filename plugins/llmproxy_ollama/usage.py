"""Token counts: what Ollama reports, in disjoint buckets.

`prompt_eval_count` counts the whole prompt, and was left out where all of it was known already; `eval_count` counts
what was generated, thoughts included. Nothing tells what came from a cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from llmproxy.plugin import Usage, UsageReader, count_of

_PROMPT: Final = "prompt_eval_count"
_OUTPUT: Final = "eval_count"
#: What the decoder calls a text that ends too early.
_TRUNCATED: Final = "Input data was truncated"


def read_usage(told: Mapping[str, Any]) -> Usage | None:
    """Sort counts into disjoint buckets; None where there are none."""
    prompt, output = count_of(told.get(_PROMPT)), count_of(told.get(_OUTPUT))
    if prompt is None and output is None:
        return None
    return Usage(prompt or 0, 0, 0, output or 0)


def written_usage(usage: Usage | None) -> dict[str, int]:
    """Return the counts that callers read."""
    if usage is None:
        return {}
    prompt = usage.input + usage.cache_read + usage.cache_write
    return {_PROMPT: prompt, _OUTPUT: usage.output + usage.reasoning}


class _Counts(msgspec.Struct, gc=False):
    """What an answer tells of itself, whatever type it has."""

    prompt_eval_count: Any = None
    eval_count: Any = None


_counts: Final = msgspec.json.Decoder(_Counts)


class CountReader(UsageReader):
    """Reads the counts of a whole answer, which are members of its own."""

    __slots__ = ()

    def whole(self, body: bytes) -> tuple[Usage | None, bool]:
        """Return the usage, and whether the text ends in the middle of an object or list."""
        try:
            told = _counts.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            return None, bool(body) and str(fault) == _TRUNCATED
        return read_usage({_PROMPT: told.prompt_eval_count, _OUTPUT: told.eval_count}), False

    def last(self, data: bytes) -> Usage | None:
        """Read what stands behind the last list of a long answer: its vectors."""
        rest = data[data.rfind(b"]") + 1 :].lstrip()
        return self.whole(b"{" + rest[1:])[0] if rest[:1] == b"," else None


#: Reads the counts of a whole answer.
USAGE: Final = CountReader(_OUTPUT, read_usage)
