"""What calls claim, as far as it is the same from call to call: made once, for claims come fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import Reservation, Taken, reserving

if TYPE_CHECKING:
    from llmproxy_quota.book import Rule
    from llmproxy_quota.fields import Heading

#: Portions of one account that are known at a time.
_KNOWN: Final = 256


@dataclass(slots=True)
class Portion:
    """So much of some limits: what is claimed, and how others see it."""

    rules: Sequence[Rule]
    tag: bytes
    wants: tuple[reserving.Want, ...]
    amounts: tuple[int, ...]
    taken: tuple[Taken, ...]
    #: The microdollars that they hold at most; see `Reservation.money`.
    money: int
    #: What names it to what is taken in advance, and what it is taken of there, once that is known.
    kind: tuple[bytes, ...]
    lasting: bool
    #: Whether all of its limits count tokens.
    only_tokens: bool
    ahead: reserving.Kind | None = None
    #: What answers tell of the limits, if they do.
    heading: Heading | None = None


def portion(tag: bytes, rules: Sequence[Rule], wants: tuple[reserving.Want, ...]) -> Portion:
    """Make what claims these amounts of these limits."""
    taken = [
        Taken(
            rule.scope,
            rule.config.counts,
            rule.config.name,
            rule.config.window or "",
            want.amount,
            rule.config.mode != "hard",
        )
        for rule, want in zip(rules, wants, strict=True)
    ]
    return Portion(
        rules,
        tag,
        wants,
        tuple([want.amount for want in wants]),
        tuple(taken),
        Reservation("", tuple(taken)).money,
        reserving.kind_of(tag, wants),
        any(want.limit.kind != reserving.RATE for want in wants),
        all(rule.config.counts == "tokens" for rule in rules),
    )


class Portions:
    """The portions of some limits, by their amounts."""

    __slots__ = ("_known", "_rules", "_tag")

    def __init__(self, tag: bytes, rules: Sequence[Rule]) -> None:
        self._tag = tag
        self._rules = rules
        self._known: dict[tuple[int, ...], Portion] = {}

    def of(self, amounts: tuple[int, ...]) -> Portion:
        """Return what claims these amounts, in the mode of each limit."""
        found = self._known.get(amounts)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            pairs = zip(self._rules, amounts, strict=True)
            wants = [reserving.Want(rule.limit, amount, rule.config.mode) for rule, amount in pairs]
            found = self._known[amounts] = portion(self._tag, self._rules, tuple(wants))
        return found
