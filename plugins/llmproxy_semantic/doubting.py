"""Guards where verification decides: which of them are final, and which only raise a doubt. Pure.

Theory. Guards about what is said (a number, a name, a "not", who does what to whom) name another question. Those about
how it is said object to most rewordings as well: on 3,000 questions to assistants, each with its nearest neighbour, that
of closed-class words did so to 72 % of those that could share an answer (89 % of those that could not), that of order
to more right ones (16 %) than wrong ones (8 %). Without verification they are needed all the same. With it, what they
object to is a tier of its own, from which nothing is served until samples have borne it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmproxy_semantic.guards import GUARDS
from llmproxy_semantic.tiers import tier_of

if TYPE_CHECKING:
    from llmproxy_semantic.features import Features

#: Guards that only raise a doubt; any other is final.
SOFT: Final = frozenset(
    {
        "length",
        "closed_words",
        "pronouns",
        "order",
        "inflection",
        "pivot",
        "tongue",
        "accents",
        "unbound",
        "sides",
    }
)
#: The tier of what is doubted.
DOUBTED: Final = 3


def standing(asked: Features, stored: Features) -> int | str:
    """Return the tier of a candidate, `DOUBTED` among them, or the name of the guard that rules it out."""
    if asked.form == stored.form:
        return 0
    doubted = False
    for name, objects in GUARDS:
        if objects(asked, stored):
            if name not in SOFT:
                return name
            doubted = True
    return DOUBTED if doubted else tier_of(asked, stored)
