"""Budgets and rates of a LiteLLM file as limits of the plugin `quota`, and what it says that models cost as prices."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from llmproxy.importing.groups import number
from llmproxy.importing.walking import Walk

#: Where limits are counted, until somebody decides: for the workers of one host.
STORE: Final = {"limits": {"url": "lmdb:///var/lib/llmproxy/limits"}}

_STORE_TOLD: Final = (
    "limits are counted in files of this host; name a valkey:// or redis:// store to share them with others"
)
#: LiteLLM's spans, and the calendar's windows here, in UTC.
_WINDOWS: Final = {
    **dict.fromkeys(("60s", "1m"), "minute"),
    **dict.fromkeys(("3600s", "60m", "1h", "hourly"), "hour"),
    **dict.fromkeys(("86400s", "24h", "1d", "daily"), "day"),
    **dict.fromkeys(("7d", "1w", "weekly"), "week"),
    **dict.fromkeys(("30d", "1mo", "monthly"), "month"),
}
_SPAN: Final = re.compile(r"(\d{1,6})(s|m|h|d|w|mo)")
_DAYS: Final = {"w": 7, "mo": 30}
_FOREVER: Final = "3650d"
#: The most that is counted exactly: more is no limit.
_MOST: Final = 10**12
_DEAREST: Final = 10**6
#: What a LiteLLM key, user or team may be given at most, and the scope that counts it here.
_DEFAULTS: Final = (
    ("default_key_generate_params", "key"),
    ("upperbound_key_generate_params", "key"),
    ("default_internal_user_params", "user"),
    ("default_team_params", "team"),
)
_COSTS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "output_cost_per_reasoning_token": "reasoning",
}
_TOKENS_TOLD: Final = (
    "carried as a soft limit of tokens in each minute: calls that run at once may pass it a little; "
    "mode: hard never lets them, and takes the most that each may use before it is sent"
)

Limit = dict[str, Any]


class Budgets:
    """The limits and prices of a file that is being read; each limit has a name of its own."""

    def __init__(self, file: Mapping[str, Any]) -> None:
        models, router = file.get("model_list"), file.get("router_settings")
        entries = [each for each in models if isinstance(each, Mapping)] if isinstance(models, list) else []
        self._deployments = Counter(str(entry.get("model_name")) for entry in entries)
        self._rates_hold = isinstance(router, Mapping) and _rates_hold(router)
        self.limits: list[Limit] = []
        self.prices: dict[str, dict[str, float]] = {}

    def read(self, library: Walk, general: Walk) -> None:
        """Take what both sections say of the whole proxy, and of keys, users and teams."""
        self._budget(library, "max_budget", "budget_duration", "proxy", {})
        self._budget(general, "max_budget", "budget_duration", "proxy-general", {})
        self._budget(
            library, "max_internal_user_budget", "internal_user_budget_duration", "user", {"scope": "user"}
        )
        self._in_flight(general, "global_max_parallel_requests", "proxy", {})
        for key, scope in _DEFAULTS:
            params = library.section(key)
            self._account(params, f"{key.partition('_')[0]}-{scope}", {"scope": scope})
            params.tell_rest(lambda _: "made with a key: `llmproxy keys create` says it for each")

    def costs(self, params: Walk, info: Walk) -> dict[str, float]:
        """Take what a deployment's calls cost, in dollars for a million tokens."""
        price: dict[str, float] = {}
        for walk in (info, params):
            for key, name in _COSTS.items():
                given = walk.take(key)
                told = number(given)
                if told is not None and told * 10**6 <= _DEAREST:
                    price[name] = float(Decimal(repr(told)) * 10**6)
                elif given is not None:
                    walk.tell(key, "no price of a token")
        if price and not {"input", "output"} <= price.keys():
            info.tell("", f"only its {', '.join(price)} has a price, so none was carried")
            return {}
        return price

    def price(self, params: Walk, upstream: str, model: str | None, costs: dict[str, float]) -> None:
        """Keep what calls to a place cost."""
        key = f"{upstream}/{'*' if model is None or '*' in model else model}"
        if costs and self.prices.setdefault(key, costs) != costs:
            params.tell("input_cost_per_token", f"another deployment says what {key} costs, and it counts")

    def deployment(self, params: Walk, name: str) -> None:
        """Take a deployment's budget, which is its model's where no other deployment has the name."""
        if self._deployments[name] < 2 and "*" not in name:
            scope = {"scope": "model", "match": _exact(name), "across": True}
            self._budget(params, "max_budget", "budget_duration", name, scope)
        elif params.take("max_budget") is not None:
            params.take("budget_duration")
            params.tell(
                "max_budget", "models have budgets here, not deployments: write a limit of scope model"
            )

    def rates(self, name: str, shares: Sequence[Mapping[str, float]]) -> None:
        """Limit a model to what its deployments may take together, if the file has that kept."""
        scope = {"scope": "model", "match": _exact(name), "across": True}
        for key, counts in (("rpm", "requests"), ("tpm", "tokens")) if self._rates_hold else ():
            told = [share[key] for share in shares if key in share]
            if len(told) == len(shares) and sum(told) >= 1 and "*" not in name:
                mode = {"mode": "soft"} if counts == "tokens" else {}
                self._add(f"{name}-{key}", {**scope, "counts": counts, "window": "minute", **mode}, sum(told))

    def _account(self, params: Walk, name: str, scope: Limit) -> None:
        self._budget(params, "max_budget", "budget_duration", name, scope)
        self._rate(params, "rpm_limit", f"{name}-rpm", {**scope, "counts": "requests"})
        if self._rate(params, "tpm_limit", f"{name}-tpm", {**scope, "counts": "tokens", "mode": "soft"}):
            params.tell("tpm_limit", _TOKENS_TOLD)
        self._in_flight(params, "max_parallel_requests", name, scope)

    def _budget(self, walk: Walk, key: str, span: str, name: str, scope: Limit) -> None:
        most, told = number(walk.take(key)), walk.take(span)
        if most is None or most * 10**6 >= _MOST:
            return
        window = span_of(told)
        if told is None:
            walk.tell(key, "it never ends there; here it is what is spent in any ten years")
        elif window is None:
            walk.tell(span, "not a time, so the budget is of any ten years")
        elif "window" in window:
            walk.tell(span, f"carried as each {window['window']} of the calendar, in UTC")
        self._add(
            f"{name}-budget",
            {**scope, "counts": "money", **(window or {"rolling": _FOREVER})},
            most,
            money=True,
        )

    def _rate(self, walk: Walk, key: str, name: str, limit: Limit) -> bool:
        most = number(walk.take(key))
        if most is None:
            return False
        return self._add(name, {**limit, "window": "minute"}, most)

    def _in_flight(self, walk: Walk, key: str, name: str, scope: Limit) -> None:
        most = number(walk.take(key))
        if most is not None:
            self._add(f"{name}-in-flight", {**scope, "counts": "in_flight"}, most)

    def _add(self, wish: str, limit: Limit, most: float, *, money: bool = False) -> bool:
        if most >= _MOST:
            return False
        plain = re.sub(r"[^A-Za-z0-9._/]+", "-", wish).strip("-") or "limit"
        taken = {each["name"] for each in self.limits}
        name = next(
            each
            for each in (plain, *(f"{plain}-{count}" for count in range(2, len(taken) + 3)))
            if each not in taken
        )
        self.limits.append({"name": name, **limit, "at_most": most if money and most % 1 else int(most)})
        return True

    def tell(self, walk: Walk) -> None:
        """Tell where limits are counted, if there are any."""
        if self.limits:
            walk.tell("stores", _STORE_TOLD)
            walk.tell("plugins", "the limits of quota hold for the master key too, which has none there")


def _rates_hold(router: Mapping[str, Any]) -> bool:
    """Whether LiteLLM keeps to what deployments say of their rates; they are weights alone otherwise."""
    checks = router.get("optional_pre_call_checks")
    listed = checks if isinstance(checks, list) else []
    return "enforce_model_rate_limits" in listed or "usage" in str(router.get("routing_strategy"))


def span_of(told: object) -> dict[str, str] | None:
    """Return a LiteLLM span as a window here; None for what is none."""
    text = str(told).strip().lower()
    if text in _WINDOWS:
        return {"window": _WINDOWS[text]}
    found = _SPAN.fullmatch(text)
    if found is None or not int(found[1]):
        return None
    count, unit = int(found[1]), found[2]
    return {"rolling": f"{count * _DAYS[unit]}d" if unit in _DAYS else f"{count}{unit}"}


def _exact(name: str) -> str:
    """Return a pattern that only this name matches."""
    return re.sub(r"([*?\[])", r"[\1]", name).replace("${", "$${")
