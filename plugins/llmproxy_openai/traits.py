"""What a model takes, told by its name: data that OpenAI, xAI and Groq publish per model. Pure.

A name that tells nothing is taken for a model that takes everything: what it refuses, its provider says.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from llmproxy.canonical import GenerateRequest, Losses, Thinking
from llmproxy.plugin import Quirks

_THINKING: Final = re.compile(r"(?:o[134](?![a-z0-9])|gpt-5(?:\.(?P<minor>\d+))?(?![a-z0-9]))(?!.*-chat)")
_PLAIN: Final = re.compile(
    r"gpt-[34]|chatgpt-4|gpt-5.*-chat|(?:meta-)?llama|mixtral|gemma"
    r"|grok-(?:2|3(?!-mini)|4(?![.\d])|code)"
)

#: The first of OpenAI's models that take marks of where a prompt's cached part ends.
_MARKED: Final = (5, 6)
_MARK: Final = "prompt_cache_breakpoint"
_VERSION: Final = re.compile(r"(?:chat)?gpt-(\d)(?:\.(\d+))?|o\d")

#: What OpenAI's thinking models refuse, each with the value that is no more than its default.
_SAMPLING: Final[tuple[tuple[str, Any], ...]] = (
    ("temperature", 1),
    ("top_p", 1),
    ("frequency_penalty", 0),
    ("presence_penalty", 0),
    ("logit_bias", {}),
    ("logprobs", False),
    ("top_logprobs", 0),
)


class Traits(NamedTuple):
    """One model's habits: whether it can be told how much to think, and takes sampling while it thinks, and at all."""

    efforts: bool = True
    sampling: bool = True
    sampling_thoughtless: bool = True
    stops: bool = True


@lru_cache(maxsize=512)
def traits_of(model: str) -> Traits:
    """Return the habits of a model by its name, whatever provider is named before it."""
    name = model.lower().rpartition("/")[2]
    found = _THINKING.match(name)
    if found is not None:
        later = found["minor"] is not None
        return Traits(sampling=False, sampling_thoughtless=later, stops=later or name.startswith("o3-mini"))
    return Traits(efforts=_PLAIN.match(name) is None)


@lru_cache(maxsize=512)
def fitted_quirks(quirks: Quirks, model: str) -> Quirks:
    """Return the provider's quirks as they are for a model: earlier ones of OpenAI's take no marks for the cache."""
    found = _VERSION.match(model.lower().rpartition("/")[2]) if _MARK in quirks.extras else None
    if found is None or (int(found[1] or 0), int(found[2] or 0)) >= _MARKED:
        return quirks
    extras = tuple(extra for extra in quirks.extras if extra != _MARK)
    return msgspec.structs.replace(quirks, extras=extras)


def fitted(request: GenerateRequest, model: str, losses: Losses) -> GenerateRequest:
    """Return the request without what the model is known to refuse; report that."""
    traits, changes = traits_of(model), dict[str, Any]()
    if not traits.efforts and request.thinking is not None:
        if _asks(request.thinking):
            losses.lose("thinking", "the model cannot be told how much to think")
        changes["thinking"] = None
    if not traits.stops and request.stop:
        losses.lose("stop", "the model takes no stop sequences")
        changes["stop"] = ()
    thinks = request.thinking is not None and _asks(request.thinking)
    if not (traits.sampling if thinks else traits.sampling_thoughtless):
        for name, default in _SAMPLING:
            value = getattr(request, name)
            if value is not None and value != default:
                losses.lose(name, "the model thinks, and takes the default alone")
                changes[name] = None
    return msgspec.structs.replace(request, **changes) if changes else request


def _asks(thinking: Thinking) -> bool:
    return thinking.effort not in ("", "none") or bool(
        thinking.budget or thinking.adaptive or (thinking.enabled and not thinking.effort)
    )
