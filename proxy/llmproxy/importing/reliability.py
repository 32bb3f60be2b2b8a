"""How LiteLLM tries again and leaves deployments alone, as settings of the plugin that walks pools."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from llmproxy.importing.groups import number
from llmproxy.importing.manner import is_true, time_of
from llmproxy.importing.walking import Note, Walk

#: LiteLLM's strategies, the one here, and what is different.
STRATEGIES: Final = {
    "simple-shuffle": ("weighted", ""),
    "least-busy": ("least_in_flight", ""),
    "latency-based-routing": (
        "p2c",
        "carried as p2c: of two places that chance names, the one with less latency and fewer requests in flight",
    ),
    "cost-based-routing": ("cheapest", "carried as cheapest, by the prices of the table of models"),
    "usage-based-routing": ("least_in_flight", "tokens a minute are not counted; least_in_flight is nearest"),
    "usage-based-routing-v2": (
        "least_in_flight",
        "tokens a minute are not counted; least_in_flight is nearest",
    ),
}

#: Attempts that a request may make, however long the line of its fallbacks is.
_MOST_ATTEMPTS: Final = 20
_LONGEST_REST: Final = 60.0


class Reliability(NamedTuple):
    """The strategy of pools, the tries that each place gets again, and the plugin's settings."""

    strategy: str
    retries: int | None
    settings: dict[str, Any]

    def attempts(self, places: int) -> int | None:
        """Return the attempts that reach the last of so many places; None where that is no more than usual."""
        tries = 1 if self.retries is None else self.retries + 1
        wanted = min(places * min(tries, 2), _MOST_ATTEMPTS)
        wanted = max(wanted, tries) if self.retries is not None else wanted
        return wanted if wanted > 3 or (self.retries is not None and wanted != 3) else None


def read_reliability(library: Walk, router: Walk) -> Reliability:
    """Read what both sections say; `router_settings` counts where both do."""
    retries = _retries(router, library)
    settings: dict[str, Any] = {}
    if retries:
        settings["retries"] = 1
    wait = time_of(router, "retry_after")
    if wait is not None:
        settings["backoff"] = {"first": wait, "most": wait if float(wait[:-1]) > 2 else "2s"}
    health = _health(router, library)
    if health is None or health:
        settings["health"] = health
    return Reliability(_strategy(router), retries, settings)


def _strategy(router: Walk) -> str:
    given = router.take("routing_strategy")
    if given is None:
        return "weighted"
    if str(given) not in STRATEGIES:
        router.tell("routing_strategy", "none of that kind is here; places are chosen by weight")
        return "weighted"
    strategy, told = STRATEGIES[str(given)]
    if told:
        router.tell("routing_strategy", told)
    return strategy


def _retries(router: Walk, library: Walk) -> int | None:
    path, given = router.first("num_retries")
    if given is None:
        path, given = library.first("num_retries")
    told = number(given)
    if given is not None and told is None:
        router.notes.append(Note(path, "not a number"))
    policy = router.take("retry_policy")
    if policy is not None and not isinstance(policy, dict):
        router.tell("retry_policy", "not a mapping, so nothing in it was read")
    elif policy:
        router.tell(
            "retry_policy",
            "the largest number of it was carried; which failures are tried again, their kind says",
        )
        told = max([told or 0, *(found for each in policy.values() if (found := number(each)) is not None)])
    if told is None:
        return None
    text = "a place is tried once more, then the next; one budget of attempts covers retries and fallbacks"
    if told >= 1:
        router.notes.append(Note(path, text))
    return int(min(told, _MOST_ATTEMPTS))


def _health(router: Walk, library: Walk) -> dict[str, Any] | None:
    """Return when places are left alone; None for never."""
    health: dict[str, Any] = {}
    path, fails = router.first("allowed_fails")
    if fails is None:
        path, fails = library.first("allowed_fails")
    allowed, rest = number(fails), time_of(router, "cooldown_time")
    if allowed is not None:
        health["failures"] = int(allowed) + 1
        router.notes.append(Note(path, "carried as failures in a row; a share of failures opens a place too"))
    if rest is not None:
        health["rest"] = rest
        if float(rest[:-1]) > _LONGEST_REST:
            health["longest_rest"] = rest
    return None if is_true(router.take("disable_cooldowns")) else health
