"""Adds an upstream and a public name for each model, and ends their servers with the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from llmproxy.plugin import ConfigError, Plugin, Registry, Runtime, UpstreamConfig, hookimpl
from llmproxy_local.authorizing import LocalAuthorizer, LocalOptions
from llmproxy_local.config import LocalConfig, ModelSettings
from llmproxy_local.places import Places, folder_of, mark_of
from llmproxy_local.server import LocalServer
from llmproxy_local.weights import check_server, weights_of


class LocalPlugin(Plugin[LocalConfig]):
    """Models that run beside the gateway, each behind an upstream of its own: `local/NAME`."""

    Config = LocalConfig
    dialects = ("openai",)

    def __init__(self, name: str, config: LocalConfig) -> None:
        super().__init__(name, config)
        self._servers: dict[str, LocalServer] = {}

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer what the models' upstreams are authorized by: it starts their servers."""
        registry.authorizer(self.name, self._authorizer, LocalOptions)

    def _authorizer(self, config: UpstreamConfig, options: LocalOptions) -> LocalAuthorizer:
        if options.model not in self.config.models:
            known = ", ".join(self.config.models)
            raise ConfigError(
                "model", f"plugin {self.name!r} has no model {options.model!r} (known: {known})"
            )
        return LocalAuthorizer(options.model, self._servers)

    @hookimpl
    async def contribute_config(self, runtime: Runtime) -> dict[str, Any]:
        """Add the models' upstreams, their public names, and that they cost nothing."""
        check_server()
        names = {name: f"{self.name}-{name}" for name in self.config.models}
        return {
            "upstreams": {names[name]: self._upstream(name) for name in names},
            "models": {f"{self.name}/{name}": {"upstream": names[name], "model": name} for name in names},
            "prices": {f"{names[name]}/{name}": {"input": 0, "output": 0} for name in names},
        }

    def _upstream(self, name: str) -> dict[str, Any]:
        start = f"{self.config.start_timeout}s"
        return {
            "base_url": "http://localhost/v1",
            "dialect": "openai",
            "auth": {self.name: {"model": name}},
            "timeouts": {
                "connect": start,
                "headers": "10m",
                "first_token": "10m",
                "idle": "5m",
                "total": "30m",
            },
            "pool": {"keepalive": "2s"},  # the server closes what is idle for 5 s
        }

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Hold the servers, which are started by their first request and outlive a reload."""
        folder = folder_of(runtime.bus.directory, self.name)
        async with AsyncExitStack() as stack:
            for name, settings in self.config.models.items():
                weights = weights_of(name, settings.path)
                places = Places(folder, name, mark_of(settings, weights))
                make = partial(self._serving, runtime, places, settings, weights)
                self._servers[name] = await stack.enter_async_context(runtime.shared(places, make))
            yield

    @asynccontextmanager
    async def _serving(
        self, runtime: Runtime, places: Places, settings: ModelSettings, weights: Path
    ) -> AsyncIterator[LocalServer]:
        server = LocalServer(places, settings, weights, self.config.start_timeout, runtime.log, runtime.spawn)
        try:
            yield server
        finally:
            await server.stop()
            if runtime.bus.directory is None:
                places.remove()
