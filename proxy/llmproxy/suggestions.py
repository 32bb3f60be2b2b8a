"""Errors for names that nothing answers to, with the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from llmproxy.errors import ConfigError
from llmproxy.keypaths import join_key
from llmproxy.references import quoted

#: What strategies are called elsewhere.
_STRATEGIES: Final = {
    "ordered": "fallback failover priority primary_backup first_available active_passive",
    "weighted": "random weighted_random simple_shuffle shuffle loadbalance load_balance split",
    "round_robin": "rr roundrobin cyclic",
    "least_in_flight": "least_busy least_connections least_conn least_requests least_outstanding",
    "p2c": "latency least_latency lowest_latency latency_based latency_based_routing ewma fastest power_of_two_choices",
    "cheapest": "cost lowest_cost cost_based_routing price least_cost",
    "rule": "rules conditional when",
    "ab": "ab_test canary experiment sticky",
    "complexity": "auto smart semantic difficulty",
}
_OTHERWISE: Final = {word: name for name, words in _STRATEGIES.items() for word in words.split()}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` was probably meant to be."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown_key(path: str, key: str, known: Iterable[str], instead: str | None = None) -> ConfigError:
    """Say that a key is not one of those a section has; `instead` what to do, where that is known."""
    names = sorted(known)
    if instead is not None:
        return ConfigError(join_key(path, key), f"unknown key {quoted(key)}; {instead}")
    suggestion = nearest(key, names)
    message = f"unknown key {quoted(key)}"
    if suggestion is None and names:
        message += f" (known: {', '.join(names)})"
    return ConfigError(join_key(path, key), message, suggestion)


def unknown_name(path: str, kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """Say that a name stands for nothing that is configured, e.g. `unknown upstream "mian"`."""
    names = sorted(known)
    suggestion = nearest(name, names)
    message = f"unknown {kind} {quoted(name)}"
    if suggestion is None:
        message += f" (known: {', '.join(names)})" if names else f" (no {kind} is configured)"
    return ConfigError(path, message, suggestion)


def unknown_strategy(path: str, name: str, known: Iterable[str]) -> ConfigError:
    """Say that there is no strategy of a name, with the one that is probably meant: many go by other names elsewhere."""
    names = sorted(known)
    word = name.lower().replace("-", "_")
    meant = _OTHERWISE.get(word)
    suggestion = meant if meant in names else nearest(word, names)
    return ConfigError(path, f"{name!r} is not known (known: {', '.join(names) or 'none'})", suggestion)
