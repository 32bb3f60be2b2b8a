"""Whether a kept answer may be used, and how. Pure."""

from __future__ import annotations

from math import log
from typing import Final, Literal

from llmproxy_cache.control import Control

#: `fresh`: use it. `early`: use it, and have it made anew before it ends. `stale`: use it while it is made anew. `ask`:
#: not without asking.
Use = Literal["fresh", "early", "stale", "ask"]

#: Beyond so many times the seconds that an answer takes, nobody's turn comes early: once in 10^8 draws.
FAR: Final = 18.5


def use_of(
    age: float,
    lifetime: float,
    while_revalidate: float,
    control: Control,
    *,
    soft: bool = False,
    seconds: float = 0.0,
    beta: float = 0.0,
    draw: float = 1.0,
) -> Use:
    """Say how an answer of that age may be used.

    Args:
        age: seconds since it was kept.
        lifetime: seconds for which it is fresh.
        while_revalidate: seconds after that for which it may be served while it is made anew.
        control: what the caller wants.
        soft: whether a purge has made it stale.
        seconds: what it took to make.
        beta: how early it is made anew; 0 is never. Each caller decides alone, by chance, so that one does before it
            ends (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, 2015).
        draw: a random number above 0 and up to 1.
    """
    if control.refresh or (control.max_age is not None and age > control.max_age):
        return "ask"
    left = lifetime - age
    if not soft and left > control.min_fresh:
        wide = seconds * beta
        return "early" if left < wide * FAR and left <= -wide * log(draw) else "fresh"
    if control.min_fresh:
        return "ask"
    if control.max_stale is not None and -left <= control.max_stale and not soft:
        return "fresh" if -left > while_revalidate else "stale"
    return "stale" if -left < while_revalidate else "ask"


def serves_on_error(age: float, lifetime: float, if_error: float) -> bool:
    """Say whether an answer may be given in place of an upstream's error."""
    return age < lifetime + if_error
