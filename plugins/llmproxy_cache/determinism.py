"""Whether an answer may be kept: only one that every equal request would get, unless the route says otherwise.

A temperature of 0 that the caller wrote, an embedding, a moderation, a ranking, a count: equal requests mean equal
answers. Where the model draws its words, a kept answer is one draw of many; a route asks for that with `sampled`, and
may keep several with `variants`. What depends on more than the request needs its own word in `allow`:

- `references`: files, links, earlier answers and prompts that lie elsewhere may change or be gone.
- `hosted-tools`: a search finds other pages tomorrow; a program that the provider runs may do something.
- `stored`: the caller wants the provider to keep this very call (`store: true` of chat completions).
- `unknown-calls`: calls that the dialect tells nothing of; all of their bytes count.

Never kept, whatever the route says: `state`, a call that changes a conversation, thread or container at the provider,
which a kept answer would leave as it was; `background`, whose answer is a ticket for one job; batches, files and all
else that is no question.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from llmproxy.plugin import Ground

Allowed = Literal["references", "hosted-tools", "stored", "unknown-calls"]

#: Grounds that no route can allow.
NEVER: Final[frozenset[str]] = frozenset({"state", "background"})
#: All others, in the order in which they are told.
_ORDER: Final[tuple[Ground, ...]] = ("state", "background", "stored", "references", "hosted-tools")


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What matters of a request: its kind of call, empty where it is unknown, and what its answer depends on."""

    kind: str = ""
    deterministic: bool = False
    temperature: float | None = None
    grounds: frozenset[Ground] = frozenset()
    user: str = ""

    @property
    def settled(self) -> bool:
        """Whether equal requests get equal answers."""
        return self.deterministic or self.temperature == 0


def why_not(facts: Facts, *, sampled: bool, allow: frozenset[Allowed]) -> str:
    """Return why an answer must not be kept, or nothing where it may be: a word for logs, metrics and callers."""
    for ground in _ORDER if facts.grounds else ():
        if ground in facts.grounds and (ground in NEVER or ground not in allow):
            return ground
    if not facts.kind:
        return "" if "unknown-calls" in allow else "unknown-call"
    return "" if facts.settled or sampled else "sampled"
