"""What caches have done, out of the metrics of all workers, as an operator reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from llmproxy.metrics import Families

#: Outcomes for which no upstream had to make an answer.
SPARED: Final = ("hit", "stale", "joined", "revalidated")

_SAVED: Final = {
    "tokens": "llmproxy_cache_saved_tokens_total",
    "dollars": "llmproxy_cache_saved_dollars_total",
    "seconds": "llmproxy_cache_saved_seconds_total",
}
_EXTENT: Final = {
    "entries": "llmproxy_cache_entries",
    "bytes": "llmproxy_cache_held_bytes",
    "limit": "llmproxy_cache_limit_bytes",
}


def statistics(families: Families) -> dict[str, Any]:
    """Return the numbers since the gateway's start, by cache and by store."""
    return {"caches": _caches(families), "stores": _stores(families)}


def _caches(families: Families) -> dict[str, Any]:
    caches: dict[str, Any] = {}
    for (cache, route, outcome), count in _series(families, "llmproxy_cache_requests_total"):
        _route(caches, cache, route)["outcomes"][outcome] = count
    for (cache, route, result), count in _series(families, "llmproxy_cache_answers_total"):
        _route(caches, cache, route)["answers"][result] = count
    for what, name in _SAVED.items():
        for (cache, route), count in _series(families, name):
            _route(caches, cache, route)["saved"][what] = round(count, 6)
    for (cache, role), count in _series(families, "llmproxy_cache_flights_total"):
        _cache(caches, cache)["flights"][role] = count
    for told in caches.values():
        for route in told["routes"].values():
            route["hit_ratio"] = hit_ratio(route["outcomes"])
    return caches


def _cache(caches: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = caches.setdefault(name, {"routes": {}, "flights": {}})
    return found


def _route(caches: dict[str, Any], cache: str, route: str) -> dict[str, Any]:
    routes: dict[str, Any] = _cache(caches, cache)["routes"]
    found: dict[str, Any] = routes.setdefault(route, {"outcomes": {}, "answers": {}, "saved": {}})
    return found


def hit_ratio(outcomes: dict[str, int]) -> float | None:
    """Return the share of cacheable requests that no upstream had to answer; None where there were none."""
    spared = sum(outcomes.get(outcome, 0) for outcome in SPARED)
    asked = spared + outcomes.get("miss", 0)
    return round(spared / asked, 4) if asked else None


def _stores(families: Families) -> dict[str, Any]:
    stores: dict[str, Any] = {}
    for what, name in _EXTENT.items():
        for (store, tier), value in _series(families, name):
            _tier(stores, store, tier)[what] = value
    for (store, tier, reason), count in _series(families, "llmproxy_cache_evictions_total"):
        _tier(stores, store, tier)["evictions"][reason] = count
    for (store, operation, fault), count in _series(families, "llmproxy_cache_store_faults_total"):
        _store(stores, store)["faults"][f"{operation} {fault}"] = count
    for (store, kind, heard), count in _series(families, "llmproxy_cache_purges_total"):
        _store(stores, store)["purges"][f"{kind} {heard}"] = count
    return stores


def _store(stores: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = stores.setdefault(name, {"tiers": {}, "faults": {}, "purges": {}})
    return found


def _tier(stores: dict[str, Any], store: str, tier: str) -> dict[str, Any]:
    tiers: dict[str, Any] = _store(stores, store)["tiers"]
    found: dict[str, Any] = tiers.setdefault(tier, {"evictions": {}})
    return found


def _series(families: Families, name: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    family = families.get(name)
    if family is not None:
        for labels, vector in sorted(family.series.items()):
            yield labels, vector[0]
