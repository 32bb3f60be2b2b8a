"""`llmproxy check`: all that can be said of a configuration without serving it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import yaml

from llmproxy.admin import AdminServer
from llmproxy.assembly import Assembly, build_routes
from llmproxy.bus import Bus
from llmproxy.commands.inputs import Configuration
from llmproxy.config import Config, effective
from llmproxy.errors import ConfigError, ConfigErrors, StartError
from llmproxy.gateway import Generation
from llmproxy.keypaths import join_key
from llmproxy.listening import server_context
from llmproxy.metrics import Metrics
from llmproxy.redaction import redact_config
from llmproxy.route import Route
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
        "model": len(config.models),
        "store": len(config.stores),
        "listener": len(config.listeners),
    }
    return "ok: " + ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
