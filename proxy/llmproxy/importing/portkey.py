"""A Portkey config in this gateway's words: its targets as pools, its retries, timeouts and cache.

A config says what happens to each request that names it; here it is what one route does. Everything else is told, by
its path and why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from llmproxy.importing.conditions import Untold, cel_of
from llmproxy.importing.groups import Pools, number
from llmproxy.importing.keyrefs import KeyRefs
from llmproxy.importing.litellm import Imported, NothingCarried
from llmproxy.importing.portkeymanner import PortkeyManner
from llmproxy.importing.portkeytargets import Inherited, Target, read_leaf, why
from llmproxy.importing.walking import Note, Walk

#: Where Portkey's own gateway listens unless it is told otherwise; here on loopback, until somebody decides.
_LISTEN: Final = "127.0.0.1:8787"

_DEEPEST: Final = 6
_MOST_ATTEMPTS: Final = 20
#: Targets of one list: a pool has no more use for them than for its attempts.
_MOST_TARGETS: Final = 200

_FALLBACK: Final = (
    "falls back after each failure that another place may mend, whichever its status; a request that is itself at "
    "fault is not sent to another place, unless that lists the kind of failure (after: [window, policy])"
)


def import_portkey(tree: Mapping[str, Any]) -> Imported:
    """Read a config's tree, as the gateway takes it or as Portkey's API gives it.

    Raises:
        ValueError: no target of it can be served here.
    """
    notes: list[Note] = []
    path = ""
    while True:
        inner = next((key for key in ("data", "config") if isinstance(tree.get(key), Mapping)), None)
        if inner is None:
            break
        path, tree = f"{path}.{inner}".lstrip("."), tree[inner]
    return _Import(Walk(_snaked(tree), path, notes), KeyRefs(tree, notes)).run()


def _snaked(tree: Any) -> Any:
    """Return a config with its keys in the one of two spellings that this importer reads; overrides stay."""
    if isinstance(tree, list):
        return [_snaked(each) for each in tree]
    if not isinstance(tree, Mapping):
        return tree
    renamed = {
        re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", str(key)).lower(): value for key, value in tree.items()
    }
    nested = {"targets", "strategy", "retry", "cache", "cb_config"}
    return {key: _snaked(value) if key in nested else value for key, value in renamed.items()}


class _Import:
    """One reading of one config."""

    def __init__(self, config: Walk, refs: KeyRefs) -> None:
        self._config = config
        self._refs = refs
        self._upstreams: dict[str, dict[str, Any]] = {}
        self._pools = Pools()
        self._manner = PortkeyManner(config.path)

    def run(self) -> Imported:
        """Read everything from the outermost target on."""
        target = self._target(self._config, Inherited(), "portkey", 0)
        if target is None:
            raise NothingCarried(self._config.notes)
        if "pool" not in target:
            target = {"pool": self._pools.add("portkey", [target])}
        return Imported(self._written(target["pool"]), self._config.notes)

    def _target(self, walk: Walk, inherited: Inherited, name: str, depth: int) -> Target | None:
        """Return a place, its weight included; None where nothing here can serve it."""
        inherited = inherited.over(walk)
        self._manner.take(walk)
        weight = number(walk.take("weight"))
        strategy, targets = walk.section("strategy"), self._most(walk, list(walk.sections("targets")))
        if not targets:
            strategy.tell_rest(lambda key: "there are no targets to choose from")
            leaf = read_leaf(walk, self._refs, inherited)
            if leaf is None:
                return None
            place: Target = {"upstream": self._upstream(leaf.name, leaf.section)}
            if leaf.model is not None:
                place["model"] = leaf.model
        else:
            if depth == _DEEPEST:
                walk.tell("", f"more than {_DEEPEST} lists of targets within one another, so it was left out")
                return None
            found = self._strategy(strategy, targets, inherited, name, depth)
            walk.tell_rest(why)
            if found is None:
                return None
            place = found
        return place if weight is None else {**place, "weight": min(weight, 1e6)}

    def _most(self, walk: Walk, targets: list[Walk]) -> list[Walk]:
        for each in targets[_MOST_TARGETS:]:
            each.drop()
        if len(targets) > _MOST_TARGETS:
            walk.tell("targets", f"more than {_MOST_TARGETS}, so those behind were left out")
        return targets[:_MOST_TARGETS]

    def _strategy(
        self, strategy: Walk, targets: list[Walk], inherited: Inherited, name: str, depth: int
    ) -> Target | None:
        mode = strategy.take("mode") or "single"
        self._manner.take_breaker(strategy.section("cb_config"))
        if mode == "single":
            for each in targets[1:]:
                each.tell("", "mode single sends everything to the first target")
            targets = targets[:1]
        names = [own if isinstance(own := each.take("name"), str) else None for each in targets]
        places = [
            self._target(each, inherited, str(own or f"{name}-{index}"), depth + 1)
            for index, (each, own) in enumerate(zip(targets, names, strict=True), 1)
        ]
        if mode == "conditional":
            return self._conditional(strategy, dict(zip(names, places, strict=True)), name)
        if strategy.take("on_status_codes") is not None or (mode == "fallback" and depth == 0):
            strategy.tell("on_status_codes", _FALLBACK)
        if mode not in ("single", "fallback", "loadbalance"):
            strategy.tell("mode", f"{str(mode)[:40]!r} is not known; its targets are tried in their order")
        strategy.tell_rest(lambda key: "not known for this mode")
        found = [place for place in places if place is not None]
        if mode != "loadbalance":
            found = [{key: value for key, value in place.items() if key != "weight"} for place in found]
        return self._pool(name, found, "weighted" if mode == "loadbalance" else None)

    def _pool(self, name: str, places: list[Target], strategy: str | None) -> Target | None:
        if not places:
            return None
        if len(places) == 1 and places[0].keys() <= {"pool", "weight"}:
            return {"pool": places[0]["pool"]}
        return {"pool": self._pools.add(name, places, strategy)}

    def _conditional(
        self, strategy: Walk, places: Mapping[object, Target | None], name: str
    ) -> Target | None:
        """Return the places whose conditions are asked in their order, the default last."""
        found: list[Target] = []
        for condition in strategy.sections("conditions"):
            query, leads = condition.take("query"), condition.take("then")
            place = places.get(leads) if isinstance(leads, str) else None
            if place is None:
                condition.tell("then", "leads to no target that was carried, so the condition was left out")
                continue
            try:
                found.append({**place, "when": cel_of(query)})
            except Untold as fault:
                condition.tell("query", f"{fault}; so the condition was left out")
        default = strategy.take("default")
        place = places.get(default) if isinstance(default, str) else None
        if place is not None:
            found.append(place)
        elif default is not None:
            strategy.tell("default", "leads to no target that was carried")
        strategy.tell("conditions", "where a place fails, the next whose condition is met is tried")
        strategy.tell_rest(lambda key: "not known for this mode")
        bare = [{key: value for key, value in place.items() if key != "weight"} for place in found]
        return self._pool(name, bare, None)

    def _upstream(self, wish: str, section: dict[str, Any]) -> str:
        name, count = wish, 1
        while self._upstreams.setdefault(name, section) != section:
            count += 1
            name = f"{wish}-{count}"
        return name

    def _size(self, pool: str) -> int:
        targets = self._pools.tree[pool]["targets"]
        return sum(self._size(each["pool"]) if "pool" in each else 1 for each in targets)

    def _written(self, pool: str) -> dict[str, Any]:
        tell = self._config.notes.append
        tell(Note("listen", f"{_LISTEN}; Portkey's own gateway listens on port 8787"))
        tell(
            Note(
                "access",
                "a config names no callers, so everybody on this machine may ask: write keys for others",
            )
        )
        manner = self._manner
        balance = {"retries": manner.retries, "health": manner.health}
        plugins: dict[str, Any] = {"access": {"mode": "open"}}
        route: dict[str, Any] = {"name": "portkey", "match": {"path": "/*"}}
        if manner.ttl is not None:
            plugins["cache"] = {"store": "answers"}
            route["plugins"] = [{"cache": {"ttl": f"{manner.ttl}s", "invalidation": ["ttl"]}}]
        if settings := {key: value for key, value in balance.items() if value}:
            plugins["balance"] = settings
        attempts = min(self._size(pool) * (manner.retries + 1), _MOST_ATTEMPTS)
        if attempts > 3 or manner.retries:
            route["attempts"] = attempts
        tree = {
            "listen": _LISTEN,
            "stores": {"answers": "memory://"} if manner.ttl is not None else {},
            "upstreams": self._upstreams,
            "pools": self._pools.tree,
            "plugins": plugins,
            "pipeline": ["access"],
            "routes": [{**route, "pool": pool}],
        }
        return {key: value for key, value in tree.items() if value}
