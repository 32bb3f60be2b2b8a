"""Labelled pairs of prompts, and what became of them: lines of JSON in, tallies out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import msgspec

from llmproxy_semantic.certifying import lower, upper


class Pair(msgspec.Struct, frozen=True):
    """Two prompts; `label` 1 says that the answer to the first would do for the second."""

    prompt_a: str
    prompt_b: str
    label: Literal[0, 1]
    source: str = ""
    kind: str = ""


class BadPairs(ValueError):
    """A file that holds no labelled pairs."""


class Served(NamedTuple):
    """A pair, and how its second prompt was answered: `canonical`, `semantic`, `hit`, empty where it was not."""

    pair: Pair
    tier: str


class Tally(NamedTuple):
    """How many pairs of a group there are, and how many were served."""

    group: str
    pairs: int
    served: int
    tiers: dict[str, int]

    @property
    def share(self) -> float:
        """The part that was served."""
        return self.served / self.pairs if self.pairs else 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """What the true part is within, with 95 % confidence."""
        return lower(self.served, self.pairs), upper(self.served, self.pairs)


def read_pairs(lines: Iterable[bytes]) -> Iterator[Pair]:
    """Give the pairs of a file.

    Raises:
        BadPairs: a line is none; its number and what is wrong are told.
    """
    decode = msgspec.json.Decoder(Pair).decode
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield decode(line)
            except msgspec.DecodeError as fault:
                raise BadPairs(f"line {number}: {fault}") from None


def tallied(served: Iterable[Served], label: int) -> list[Tally]:
    """Return the tally of all pairs with a label, then of each source and of each kind."""
    groups: dict[str, list[Served]] = {"all": []}
    for each in served:
        if each.pair.label == label:
            groups["all"].append(each)
            for name, value in (("source", each.pair.source), ("kind", each.pair.kind)):
                if value:
                    groups.setdefault(f"{name} {value}", []).append(each)
    order = sorted(groups, key=lambda group: (group != "all", not group.startswith("source"), group))
    return [_tally(group, groups[group]) for group in order]


def _tally(group: str, members: list[Served]) -> Tally:
    tiers: dict[str, int] = {}
    for each in members:
        if each.tier:
            tiers[each.tier] = tiers.get(each.tier, 0) + 1
    return Tally(group, len(members), sum(tiers.values()), tiers)
