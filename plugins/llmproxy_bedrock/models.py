"""What a model on Bedrock takes beside what is common to all, told by its name. Pure.

A name that tells nothing, such as that of an application's inference profile, is taken for a Claude model's of today
with the older habits: what it refuses, its provider says. Models that somebody brought along have no habits.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from llmproxy.canonical.claude import Traits, traits_of

#: How a family takes an effort to think: Anthropic's words, Nova's, a word under a name of its own; "" not at all.
Manner = Literal["", "claude", "nova", "effort", "config"]

_FAMILY: Final = re.compile(
    r"(?:^|[./])(?P<maker>anthropic|amazon|ai21|cohere|deepseek|google|meta|minimax|mistral|moonshot(?:ai)?|nvidia|openai"
    r"|qwen|stability|twelvelabs|writer|zai)\.(?P<name>[a-z0-9.-]+)"
)
_CLAUDE: Final = re.compile(r"claude-[a-z0-9]")
_NOVA: Final = re.compile(r"nova-(?P<major>\d)?")
_OLD_CACHELESS: Final = re.compile(r"claude-(?:v?2|instant|3-(?:opus|sonnet|haiku)|3-5-sonnet-20240620)")


class Habits(NamedTuple):
    """One model's habits."""

    #: A Claude model's, None for all others.
    claude: Traits | None = None
    thinks: Manner = ""
    #: Where the number of tokens to choose from is said, as a path within `additionalModelRequestFields`.
    top_k: tuple[str, ...] = ()
    #: Whether prompts are cached up to a mark; whether tools may be marked, and for how long.
    caches: bool = False
    caches_tools: bool = False
    ttl: bool = False
    #: Whether it answers by a schema, and by which part of the language.
    schemas: bool = True
    #: Whether nothing but space may be a stop sequence.
    blank_stops: bool = True


_BROUGHT: Final = re.compile(r":(?:imported-model|custom-model|provisioned-model)")
_MANNERS: Final[dict[str, Manner]] = {"openai": "effort", "qwen": "config"}
_TOP_K: Final = {"mistral": ("top_k",), "cohere": ("k",), "qwen": ("top_k",), "deepseek": ("top_k",)}
#: Makers none of whose models keeps to a schema.
_SCHEMALESS: Final = frozenset({"amazon", "ai21", "cohere", "meta", "stability", "twelvelabs", "writer"})


@lru_cache(maxsize=512)
def habits_of(model: str) -> Habits:
    """Return the habits of a model by its name, whatever stands around it (a region, an ARN, a version)."""
    plain = model.lower()
    found = None if _CLAUDE.search(plain) else _FAMILY.search(plain)
    if found is None:
        return Habits() if _BROUGHT.search(plain) else _claude(plain)
    maker = found["maker"]
    if maker == "amazon" and (nova := _NOVA.match(found["name"])):
        second = int(nova["major"] or 1) >= 2
        return Habits(
            thinks="nova" if second else "", top_k=("inferenceConfig", "topK"), caches=True, schemas=False
        )
    return Habits(
        thinks=_MANNERS.get(maker, ""), top_k=_TOP_K.get(maker, ()), schemas=maker not in _SCHEMALESS
    )


def _claude(name: str) -> Habits:
    traits = traits_of(name)
    cached = not _OLD_CACHELESS.search(name)
    return Habits(
        claude=traits,
        thinks="claude",
        top_k=("top_k",),
        caches=cached,
        caches_tools=cached,
        ttl=cached and traits.schemas,
        schemas=traits.schemas,
        blank_stops=False,
    )
