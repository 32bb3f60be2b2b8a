"""Names of models, each with the places that answer for it, in the order in which they are tried. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmproxy.importing.fallbacks import Fallback
from llmproxy.importing.groups import Member, Pools, Target

#: Tells what became of a fallback: its path, and a sentence.
Tell = Callable[[str, str], None]


class Lines:
    """Turns groups of deployments, and what they fall back to, into models and pools."""

    def __init__(
        self, groups: Mapping[str, list[Member]], aliases: Mapping[str, str], strategy: str, *, pooled: bool
    ) -> None:
        """Take all groups by their names; with `pooled` even one deployment is a pool, so that it is tried again."""
        self._groups = groups
        self._aliases = aliases
        self._pooled = pooled
        self._told: set[str] = set()
        self.pools = Pools()
        self._plain = {
            name: self.pools.of_group(name, members, strategy)
            for name, members in groups.items()
            if "*" not in name or len(members) > 1
        }

    def model(self, name: str, fallbacks: list[Fallback], tell: Tell) -> dict[str, Any] | None:
        """Return where a name leads; None where nothing serves it."""
        place = self._place(name)
        if place is None:
            return None
        targets = [place]
        for each in fallbacks:
            target = self._fallback(each, targets, tell)
            if target is not None:
                targets.append(target)
        if len(targets) > 1:
            return {"pool": self.pools.add(f"{name}-fallbacks", targets)}
        if "pool" in place:
            return place
        if "limit" in place or (self._pooled and "*" not in name):
            return {"pool": self.pools.add(name, [place])}
        return {key: value for key, value in place.items() if value != name or key != "model"}

    def longest(self) -> int:
        """Return the most places that one request may come to."""
        return max((self._size({"pool": name}) for name in self.pools.tree), default=1)

    def _size(self, target: Target) -> int:
        if "pool" not in target:
            return 1
        return sum(self._size(each) for each in self.pools.tree[target["pool"]]["targets"])

    def _fallback(self, each: Fallback, targets: list[Target], tell: Tell) -> Target | None:
        place = self._place(each.name)
        if place is None:
            if each.path not in self._told:
                self._told.add(each.path)
                tell(each.path, "leads to no model that was carried")
            return None
        target = {**place, "after": [each.kind]} if each.kind else place
        return None if target in targets or place == targets[0] else target

    def _place(self, name: str) -> Target | None:
        """Return the place that a name is without what it falls back to."""
        name = self._aliases.get(name, name)
        if name in self._plain:
            return dict(self._plain[name])
        if name in self._groups:
            return self._groups[name][0].target
        for pattern, members in sorted(self._groups.items(), key=lambda each: -len(each[0])):
            before, star, after = pattern.partition("*")
            fits = star and len(name) >= len(before + after)
            if fits and name.startswith(before) and name.endswith(after):
                found = members[0]
                text = name[len(before) : len(name) - len(after)]
                return {"upstream": found.upstream, "model": (found.model or pattern).replace("*", text)}
        return None
