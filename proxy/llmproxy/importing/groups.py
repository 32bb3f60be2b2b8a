"""Deployments of one name as a pool, and what a request falls back to as a pool of those. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from llmproxy.importing.walking import Walk

#: The largest weight that a target may have.
_HEAVIEST: Final = 1_000_000

_WEIGHTS: Final = ("weight", "rpm", "tpm")
_AS_WEIGHT: Final = (
    "counts as a weight where several deployments share a name, and as a limit where the file has it kept "
    "(enforce_model_rate_limits, or routing by usage)"
)

Target = dict[str, Any]


class Member(NamedTuple):
    """One deployment of a name; `model` is None where its upstream sees the public name."""

    upstream: str
    model: str | None
    weights: Mapping[str, float]
    order: float = 0.0
    limit: int | None = None

    @property
    def target(self) -> Target:
        """The place that it is, its weight left open."""
        target: Target = {"upstream": self.upstream}
        if self.model is not None:
            target["model"] = self.model
        return target if self.limit is None else {**target, "limit": self.limit}


class Share(NamedTuple):
    """What a deployment says of its part in a group."""

    weights: Mapping[str, float]
    order: float
    limit: int | None


def read_share(params: Walk) -> Share:
    """Take what `litellm_params` says of a deployment's part."""
    weights: dict[str, float] = {}
    for key in _WEIGHTS:
        given = params.take(key)
        told = number(given)
        if told is not None:
            weights[key] = told
        if given is not None and (told is None or key != "weight"):
            params.tell(key, "not a number" if told is None else _AS_WEIGHT)
    order, limit = number(params.take("order")), number(params.take("max_parallel_requests"))
    if limit is not None and limit >= 1:
        params.tell(
            "max_parallel_requests", "carried as the place's limit, which each worker counts for itself"
        )
    return Share(weights, order or 0.0, int(limit) if limit is not None and limit >= 1 else None)


def number(value: object) -> float | None:
    """Return a number that is not below 0, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):  # an integer may have more digits than any float
        return None
    return found if 0 <= found < float("inf") else None


class Pools:
    """The pools of a configuration that is being written; each name is taken once."""

    def __init__(self) -> None:
        self.tree: dict[str, dict[str, Any]] = {}

    def add(self, wish: str, targets: Iterable[Target], strategy: str | None = None) -> str:
        """Add a pool under a name like `wish`, and return the name."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", wish).strip("-") or "pool"
        name, count = plain, 1
        while name in self.tree:
            count += 1
            name = f"{plain}-{count}"
        written: dict[str, Any] = {"targets": self._distinct(name, targets)}
        self.tree[name] = written if strategy is None else {"strategy": strategy, **written}
        return name

    def _distinct(self, name: str, targets: Iterable[Target]) -> list[Target]:
        """Put a place that stands in a pool twice, on different terms, into a pool of its own."""
        found: list[Target] = []
        seen: list[Target] = []
        for target in targets:
            place = {key: value for key, value in target.items() if key in {"upstream", "model", "pool"}}
            if place in seen:
                own = {
                    key: value
                    for key, value in target.items()
                    if key not in {"after", "when", "weight", "name"}
                }
                terms = {
                    key: value for key, value in target.items() if key in {"after", "when", "weight", "name"}
                }
                target = {"pool": self.add(f"{name}-again", [own]), **terms}  # noqa: PLW2901  # the same place
            seen.append(place)
            found.append(target)
        return found

    def of_group(self, name: str, members: list[Member], strategy: str) -> Target:
        """Return the place that a name's deployments are: the only one of them, or a pool."""
        tiers = sorted({member.order for member in members})
        if len(tiers) > 1:
            steps = [[member for member in members if member.order == tier] for tier in tiers]
            inner = [self.of_group(f"{name}-{place}", step, strategy) for place, step in enumerate(steps, 1)]
            return {"pool": self.add(name, inner)}
        targets = _weighed(members)
        if len(targets) == 1:
            targets[0].pop("weight", None)
            return targets[0]
        return {"pool": self.add(name, targets, strategy)}


def _weighed(members: list[Member]) -> list[Target]:
    """Return members as targets with their weights; equal ones become one that is so much heavier."""
    key = next((key for key in _WEIGHTS if key in members[0].weights), None)
    shares = [1.0 if key is None else member.weights.get(key, 0.0) for member in members]
    scale = _HEAVIEST / max(shares) if max(shares) > _HEAVIEST else 1.0
    targets: list[Target] = []
    totals: list[float] = []
    for member, share in zip(members, shares, strict=True):
        if member.target in targets:
            totals[targets.index(member.target)] += share * scale
        else:
            targets.append(member.target)
            totals.append(share * scale)
    same = len(set(totals)) == 1 and totals[0] > 0
    return [
        target if same else {**target, "weight": _round(min(total, _HEAVIEST))}
        for target, total in zip(targets, totals, strict=True)
    ]


def _round(weight: float) -> float | int:
    return int(weight) if weight == int(weight) else round(weight, 6)
