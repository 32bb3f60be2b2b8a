"""What a model takes, told by its name: data that Anthropic publishes per model. Pure.

A name that tells nothing is taken for a model of today's with the older habits: what it refuses, its provider says.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

_NAME: Final = re.compile(
    r"claude-(?:(?P<family>opus|sonnet|haiku|fable|mythos)-(?P<major>\d)(?:[-.](?P<minor>\d{1,2})(?!\d))?"
    r"|(?P<old>\d)(?:[-.](?P<oldminor>\d))?(?:-(?P<oldfamily>opus|sonnet|haiku))?)"
)

LOW_TO_HIGH: Final = ("low", "medium", "high")


class Traits(NamedTuple):
    """One model's habits."""

    #: What `max_tokens` is where the caller names none.
    max_tokens: int = 8192
    #: Whether it thinks at all, with a budget of tokens, as it sees fit; whether thinking can be switched off.
    thinks: bool = True
    budgets: bool = True
    adaptive: bool = False
    can_stop_thinking: bool = True
    efforts: tuple[str, ...] = ()
    #: Whether it takes temperature, top_p and top_k; and both of the first two at once.
    sampling: bool = True
    both_samplings: bool = True
    #: Whether it answers by a schema, takes strict tools, and instructions in mid-conversation.
    schemas: bool = True
    late_system: bool = False


@lru_cache(maxsize=512)
def traits_of(model: str) -> Traits:
    """Return the habits of a model by its name, whatever stands around it (`anthropic/`, `@20250805`)."""
    found = _NAME.search(model.lower().replace("_", "-"))
    if found is None:
        return Traits()
    if found["old"] is not None:
        return _of_old(int(found["old"]), int(found["oldminor"] or 0))
    version = (int(found["major"]), int(found["minor"] or 0))
    if version < (4, 0):
        return _of_old(*version)
    return _of_new(found["family"], version)


def _of_old(major: int, minor: int) -> Traits:
    if (major, minor) == (3, 7):
        return Traits(32_000, schemas=False)
    tokens = 8192 if (major, minor) == (3, 5) else 4096
    return Traits(tokens, thinks=False, budgets=False, schemas=False)


def _of_new(family: str, version: tuple[int, int]) -> Traits:
    later = version >= (4, 7)
    adaptive = version >= (4, 6)
    recent = version >= (4, 5) or (family == "opus" and version >= (4, 1))
    efforts: tuple[str, ...] = ()
    if adaptive:
        efforts = (*LOW_TO_HIGH, "xhigh", "max") if later else (*LOW_TO_HIGH, "max")
    return Traits(
        max_tokens=32_000 if family != "haiku" or version >= (4, 5) else 8192,
        budgets=not later,
        adaptive=adaptive,
        can_stop_thinking=_common(family) and not (family == "opus" and version >= (5, 5)),
        efforts=efforts,
        sampling=not later,
        both_samplings=not recent,
        schemas=recent,
        late_system=(family == "opus" and version >= (4, 8)) or version >= (5, 5) or not _common(family),
    )


def _common(family: str) -> bool:
    return family in ("opus", "sonnet", "haiku")
