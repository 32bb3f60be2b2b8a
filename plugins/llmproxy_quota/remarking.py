"""What `llmproxy check` notes of limits that can never do what they seem to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmproxy.plugin import Route
    from llmproxy_quota.config import LimitConfig, QuotaConfig

_BY_LABEL: Final = ("org", "team", "user")


def remark(config: QuotaConfig, routes: Sequence[Route], labels: Collection[str]) -> Iterator[str]:
    """Yield what is to be said of limits on these routes, whose callers may have these labels."""
    for kind in _BY_LABEL:
        names = [repr(limit.name) for limit in config.limits if limit.scope == kind]
        if names and kind not in labels:
            yield (
                f"limit {', '.join(names)} holds for nobody: no caller has one; write `{kind}` with the key under "
                "plugins.access.keys, or have keys in a database"
            )
    for limit in config.limits:
        if limit.then is not None:
            yield from _cheaper(f"limit {limit.name!r}", limit.then.model, routes)
    yield from _unpriced(config, routes)


def _cheaper(where: str, model: str, routes: Sequence[Route]) -> Iterator[str]:
    tables = [route.models for route in routes if route.models is not None]
    if not any(table.resolve(model) for table in tables):
        yield f"{where}: no route serves the model {model!r}, so nothing is ever answered by it"
    elif not any(_is_priced(route, model) for route in routes):
        yield (
            f"{where}: what the model {model!r} costs is not known, so nothing is ever answered by it; write its "
            "price under `prices`"
        )


def _unpriced(config: QuotaConfig, routes: Sequence[Route]) -> Iterator[str]:
    """Yield the models that a hard limit of money refuses for want of a price."""
    limits = [limit for limit in config.limits if _needs_prices(limit)]
    if not limits or config.unpriced != "refuse":
        return
    names = {
        name: route for route in routes if route.models for name in route.models.names() if "*" not in name
    }
    missing = [repr(name) for name, route in names.items() if not _is_priced(route, name)]
    if missing:
        yield (
            f"limit {limits[0].name!r} refuses (403, price_unknown) calls of {', '.join(missing)}: what they cost is "
            "not known; write UPSTREAM/MODEL under `prices`, or `unpriced: zero`"
        )


def _needs_prices(limit: LimitConfig) -> bool:
    return limit.counts == "money" and limit.mode == "hard"


def _is_priced(route: Route, model: str) -> bool:
    """Whether all places that a model leads to on a route have a price."""
    places = route.models.resolve(model) if route.models is not None else None
    if not places:
        return False
    route.tariff.load_now()
    return all(route.tariff.tiers(place, model) for place in places)
