"""How an answer is sampled: Ollama's `options`, both ways.

Source: docs.ollama.com/modelfile (parameters) and the API's reference; what is not named here belongs to a model on
one's own machine (windows, threads, layers) or to a sampler that hosted models do not offer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmproxy.canonical import GenerateRequest, Losses
from llmproxy_ollama.fields import count, lose_rest, members, number, texts

_AT: Final = "options."
_NUMBERS: Final = ("temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty")
_COUNTS: Final = ("top_k", "seed")
_KNOWN: Final = frozenset({*_NUMBERS, *_COUNTS, "num_predict", "stop"})
#: Numbers that say no more than their absence.
_NOTHING: Final = frozenset({"frequency_penalty", "presence_penalty"})


def read_options(told: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    """Return what a request's options mean, as fields of the canonical request."""
    options = members(told, "options")
    lose_rest(options, _KNOWN, _AT, losses, "only a model that Ollama runs has it")
    found: dict[str, Any] = {key: number(options, key, _AT) for key in _NUMBERS}
    found |= {key: count(options, key, _AT) for key in _COUNTS}
    for key in _NOTHING:
        found[key] = found[key] or None
    most = count(options, "num_predict", _AT)
    # Below zero is without an end, or as much as the window holds.
    found["max_tokens"] = most if most is not None and most >= 0 else None
    found["stop"] = texts(options, "stop", _AT)
    return found


def write_options(request: GenerateRequest) -> dict[str, Any]:
    """Return the options of a canonical request."""
    options: dict[str, Any] = {} if request.max_tokens is None else {"num_predict": request.max_tokens}
    for key in (*_NUMBERS, *_COUNTS):
        if (value := getattr(request, key)) is not None:
            options[key] = value
    if request.stop:
        options["stop"] = list(request.stop)
    return options
