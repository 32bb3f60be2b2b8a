"""`llmproxy check`: all that can be said of a configuration without serving it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from llmproxy.admin import AdminServer
from llmproxy.assembly import Assembly
from llmproxy.bus import Bus
from llmproxy.commands.inputs import Configuration
from llmproxy.config import Config, effective
from llmproxy.errors import ConfigError, ConfigErrors, StartError
from llmproxy.explain import REQUEST_HOOKS
from llmproxy.gateway import Generation
from llmproxy.keypaths import join_key
from llmproxy.listening import server_context
from llmproxy.metrics import Metrics
from llmproxy.pools import Pool
from llmproxy.redaction import redact_config
from llmproxy.route import Route
from llmproxy.routebuilding import build_routes
from llmproxy.routing import Router
from llmproxy.runtime import Process
from llmproxy.stores import SCHEMES
from llmproxy.stores.layers import make_layers


def check(path: Path, *, effective: bool) -> str:
    """Return what is to be printed about a good configuration.

    Raises:
        StartError: what is wrong with a bad one, one line each.
    """
    config = Configuration(path).load()
    generation, routes = asyncio.run(assemble(config))
    errors = [*_store_errors(generation.assembly), *_listener_errors(config)]
    if errors:
        raise ConfigErrors(errors)
    AdminServer(generation.process).check(generation)
    return _shown(config) if effective else _summary(config, generation, routes)


async def assemble(config: Config) -> tuple[Generation, list[Route]]:
    """Make a generation and its routes without starting it; upstreams' pools need a loop to belong to."""
    generation = Generation(config, Process(Metrics(), Bus(None, 0)))
    try:
        routes = build_routes(generation.assembly, generation.process, os.environ)
    finally:
        for upstream in generation.assembly.upstreams.values():
            upstream.close()
    Router(routes)
    return generation, routes


def _store_errors(assembly: Assembly) -> Iterator[ConfigError]:
    schemes = {**SCHEMES, **assembly.registered.store_schemes}
    for name, store in assembly.config.stores.items():
        try:
            make_layers(store, schemes)
        except ConfigError as fault:
            yield ConfigError(f"{join_key('stores', name)}.{fault.path}", fault.message)


def _listener_errors(config: Config) -> Iterator[ConfigError]:
    for index, listener in enumerate(config.listeners):
        if listener.tls is not None:
            try:
                server_context(listener.tls)
            except StartError as fault:
                yield ConfigError(f"listen[{index}].tls", str(fault))


def _shown(config: Config) -> str:
    text: str = yaml.safe_dump(redact_config(effective(config)), sort_keys=False, allow_unicode=True)
    return text.rstrip()


def _summary(config: Config, generation: Generation, routes: list[Route]) -> str:
    counts = {
        "route": len(routes),
        "plugin": len(generation.plugins),
        "upstream": len(config.upstreams),
        **({"pool": len(config.pools)} if config.pools else {}),
        "model": len(set(config.models).union(*(route.models or {} for route in config.routes))),
        "store": len(config.stores),
        "listener": len(config.listeners),
    }
    told = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
    notes = [f"note: nothing leads to pool {name!r}; {_lead(name)}" for name in lonely_pools(config)]
    notes += [
        f"note: {join_key('models', name)}: leads to pool {pool!r}, of which {upstream!r} is asked for the name"
        f" {name!r} itself; write the `model` of its target if that is none there"
        for name, pool, upstream in nameless_aliases(config, routes)
    ]
    notes += [f"note: {text}" for text in (*idle_plugins(generation, routes), *remarks(generation, routes))]
    return "\n".join([f"ok: {told}", *notes])


def idle_plugins(generation: Generation, routes: Sequence[Route]) -> Iterator[str]:
    """Yield what is to be said of plugins that are configured, would see requests, and stand nowhere."""
    table = generation.assembly.table
    for name in generation.assembly.config.plugins:
        plugin = next(each for each in generation.plugins if each.name == name)
        hooked = any(table.implements(plugin, hook) for hook in REQUEST_HOOKS)
        if hooked and not any(name in route.options for route in routes):
            yield f"plugins.{name}: it stands in no pipeline and on no route, so it does nothing"


def remarks(generation: Generation, routes: Sequence[Route]) -> Iterator[str]:
    """Yield what plugins say of the routes that they stand on."""
    labels = frozenset().union(*(plugin.labels for plugin in generation.plugins))
    for plugin in generation.plugins:
        own = [route for route in routes if plugin.name in route.options]
        for text in plugin.remarks(own, labels) if own else ():
            yield f"plugins.{plugin.name}: {text}"


def nameless_aliases(config: Config, routes: Sequence[Route]) -> Iterator[tuple[str, str, str]]:
    """Yield aliases of pools in which an upstream has no name for the model but the caller's: alias, pool, upstream."""
    for name, model in config.models.items():
        if model.alias is None or "*" in name:
            continue
        tables = [route.models for route in routes if route.models is not None]
        pools = [found for table in tables if isinstance(found := table.resolve(name), Pool)]
        bare = [
            (pool.name, endpoint.upstream) for pool in pools for endpoint in pool if endpoint.model is None
        ]
        if bare:
            yield name, *bare[0]


def _lead(pool: str) -> str:
    return f"callers reach it by `models: {{NAME: {{pool: {pool}}}}}`, or by `pool: {pool}` of a route"


def lonely_pools(config: Config) -> list[str]:
    """Return the names of pools that no model, route or other pool leads to, and no plugin's setting names."""
    models = [*config.models.values(), *(m for route in config.routes for m in (route.models or {}).values())]
    targets = [*(t for pool in config.pools.values() for t in pool.targets)]
    targets += [target for route in config.routes for target in route.targets]
    led = {model.pool for model in models} | {target.pool for target in targets}
    led |= {route.pool for route in config.routes}
    refs = [ref.options for route in config.routes for ref in (*config.pipeline, *route.plugins)]
    led |= {
        text for options in (*refs, *(p.config for p in config.plugins.values())) for text in _texts(options)
    }
    return [name for name in config.pools if name not in led]


def _texts(tree: object) -> Iterator[str]:
    """Yield all texts of a plain tree that are no keys."""
    if isinstance(tree, str):
        yield tree
    for item in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _texts(item)
