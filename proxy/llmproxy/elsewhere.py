"""Keys that many would look for in a section, as other gateways have them: what to write here instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NEXT_PLACES: Final = (
    "who is asked when a place fails is the next of the targets; write `targets: [first, second]`"
)
_HEALTH: Final = "it holds for all pools: `plugins: {balance: {health: {...}}}`"
_LIMIT: Final = "a target has its `limit`: `targets: [{upstream: a, limit: 16}]`"
_WEIGHT: Final = "a target has its `weight`: `targets: [{upstream: a, weight: 3}, {upstream: b, weight: 1}]`"
_RETRIES: Final = (
    "a route's `attempts` bounds them; for tries at the same place: `plugins: {balance: {retries: 1}}`"
)
_IMPORT: Final = "it looks like LiteLLM's: `llmproxy import litellm FILE` writes this gateway's configuration"
#: Plugins that other gateways have as sections of their own.
_PLUGINS: Final = (
    "access",
    "aggregate",
    "balance",
    "cache",
    "compression",
    "cors",
    "httpcache",
    "idempotency",
    "ipfilter",
    "rewrite",
    "shedding",
    "validation",
)

IN_MODELS: Final[Mapping[str, str]] = {"fallbacks": _NEXT_PLACES, "fallback": _NEXT_PLACES, "weight": _WEIGHT}

IN_POOLS: Final[Mapping[str, str]] = {
    "fallbacks": _NEXT_PLACES,
    "fallback": _NEXT_PLACES,
    "upstreams": "write `targets: [NAME, NAME]`",
    "models": "write `targets: [UPSTREAM/MODEL, UPSTREAM/MODEL]`",
    "weights": _WEIGHT,
    "limit": _LIMIT,
    "health": _HEALTH,
    "health_check": _HEALTH,
    "affinity": "write `plugins: {balance: {affinity: {...}}}`",
    "retries": _RETRIES,
}

IN_UPSTREAMS: Final[Mapping[str, str]] = {
    "retries": _RETRIES,
    "weight": _WEIGHT,
    "limit": _LIMIT,
    "health": _HEALTH,
    "health_check": "write `plugins: {balance: {health: {probes: {UPSTREAM: {path: /health}}}}}`",
    "model": "a model's name leads here by `models: {NAME: UPSTREAM/MODEL}`",
    "models": "any model goes by UPSTREAM/MODEL; other names for them are in `models`",
    "timeout": "write `timeouts: {total: 30s}`, or another phase's",
    "keys": "write `api_key: [...]`",
    "api_keys": "write `api_key: [...]`",
    "url": "write `base_url`",
    "api_base": "write `base_url`",
}

IN_ROUTES: Final[Mapping[str, str]] = {
    "fallbacks": _NEXT_PLACES,
    "retries": _RETRIES,
    "retry": _RETRIES,
    "timeout": "`deadline` bounds a request with all its attempts, `timeouts` the phases of each attempt",
    "path": "stands in `match`, as in `match: {path: /v1/*}`",
    "upstreams": "write `upstream: NAME`, or several as `targets: [NAME, NAME]`",
    "weights": _WEIGHT,
    **{name: f"it is a plugin: `plugins: [{name}: {{...}}]`" for name in _PLUGINS},
}

IN_ALL: Final[Mapping[str, str]] = {
    "model_list": _IMPORT,
    "litellm_settings": _IMPORT,
    "router_settings": _IMPORT,
    "general_settings": _IMPORT,
    "fallbacks": "write a model's places in order: `models: {smart: [openai/gpt-4.1, anthropic/claude-opus-4-5]}`",
    "backends": "write `upstreams`",
    "services": "write `upstreams`",
    "providers": "write `upstreams: {NAME: {provider: ...}}`",
    "port": "write `listen: 127.0.0.1:8080`",
    "health": _HEALTH,
    **{
        name: f"it is a plugin: `plugins: {{{name}: {{...}}}}`, listed by `pipeline` or a route"
        for name in _PLUGINS
    },
}
