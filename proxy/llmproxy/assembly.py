"""From a configuration to plugins, and what they register."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from llmproxy.caching.deriving import Forms
from llmproxy.config import Config, PluginConfig, decode_struct, merge_fragment
from llmproxy.errors import ConfigError, ConfigErrors, StartError
from llmproxy.faces import Faces
from llmproxy.http_api import HttpApi
from llmproxy.installed import DIALECT_GROUP, available
from llmproxy.pools import Pool
from llmproxy.registry import HookTable, Plugin, Registrations, Registry, load
from llmproxy.settings import BALANCER
from llmproxy.stores import SCHEMES, Store
from llmproxy.stores.layers import open_layers
from llmproxy.stores.names import unknown_stores

if TYPE_CHECKING:
    from llmproxy.config import StoreConfig
    from llmproxy.dialects import UpstreamFace
    from llmproxy.upstream import Upstream


class Assembly:
    """The parts of a generation that need no socket: plugin instances, their registrations, the whole config.

    Raises:
        StartError: a plugin is missing, misconfigured or malformed; one line names it.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._installed = available()
        self.registered = Registrations()
        self.registered.upstream_faces["http"] = cast("UpstreamFace", HttpApi())
        self.policies = {name: plugin.on_error for name, plugin in config.plugins.items()}
        plugins = [self._make(name, plugin) for name, plugin in config.plugins.items()]
        plugins += self._dialect_plugins(plugins)
        plugins += self._balancer(plugins)
        self.table = self._registered(plugins)
        self.faces = Faces(self.registered.client_faces)
        self.forms = Forms(self.registered.upstream_faces, self.registered.client_faces.values())
        self.upstreams: dict[str, Upstream] = {}
        self._faces: dict[str, UpstreamFace] = {}
        #: The configuration's pools, compiled with the routes.
        self.pools: dict[str, Pool] = {}
        self._check_upstreams()

    def _make(self, name: str, config: PluginConfig) -> Plugin[Any]:
        path = f"plugins.{name}"
        kind = load(config.use, f"{path}.use", self._installed)
        settings = decode_struct(kind.Config, config.config, path, _on_routes(name, kind))
        if errors := list(unknown_stores(settings, path, self.config.stores)):
            raise ConfigErrors(errors)
        return kind(name, settings)

    def _registered(self, plugins: Sequence[Plugin[Any]]) -> HookTable:
        """Check the plugins and let them register."""
        table = HookTable(plugins)
        for plugin, hook in table.methods("register"):
            _register(plugin, hook, self.registered)
        return table

    def _dialect_plugins(self, plugins: Sequence[Plugin[Any]]) -> list[Plugin[Any]]:
        """Load the dialects and authorizers that upstreams name, and what callers may speak; no file need list them."""
        given = {plugin.name for plugin in plugins} | {use.use for use in self.config.plugins.values()}
        upstreams = self.config.upstreams.values()
        named = {upstream.dialect for upstream in upstreams} - {HttpApi.wire}
        named = named.union(*(plugin.dialects for plugin in plugins))
        spoken = available(DIALECT_GROUP).keys() if named else set()
        authorizers = {upstream.auth.name for upstream in upstreams if upstream.auth}
        wanted = (named | spoken | authorizers) & self._installed.keys()
        return [self._make(name, PluginConfig(use=name)) for name in sorted(wanted - given)]

    def _balancer(self, plugins: Sequence[Plugin[Any]]) -> list[Plugin[Any]]:
        """Load what walks pools where the configuration has any and lists nothing that does."""
        config = self.config
        self.walker = next((plugin.name for plugin in plugins if plugin.walks_pools), None)
        pooled = config.pools or any(route.targets for route in config.routes) or config.lists(BALANCER)
        if not pooled or self.walker is not None or BALANCER not in self._installed:
            return []
        self.walker = BALANCER
        return [self._make(BALANCER, PluginConfig(use=BALANCER))]

    def _check_upstreams(self) -> None:
        known = sorted(self.registered.upstream_faces)
        errors = [
            ConfigError(
                f"upstreams.{name}.dialect", f"{upstream.dialect!r} is not known (known: {', '.join(known)})"
            )
            for name, upstream in self.config.upstreams.items()
            if upstream.dialect not in self.registered.upstream_faces
        ]
        if errors:
            raise ConfigErrors(errors)

    def contribute(self, plugin: str, fragment: dict[str, Any], environ: Mapping[str, str]) -> None:
        """Add a plugin's fragment to the configuration, checked like the file."""
        try:
            self.config = merge_fragment(self.config, fragment, environ=environ)
        except ConfigErrors as fault:
            raise StartError(f"plugin {plugin!r}: contribute_config: {fault}") from fault
        self._check_upstreams()

    def opener(
        self, settings: StoreConfig, path: str = "store"
    ) -> Callable[[], AbstractAsyncContextManager[Store]]:
        """Return what opens a store that is configured at `path`."""
        schemes = {**SCHEMES, **self.registered.store_schemes}

        @asynccontextmanager
        async def opened() -> AsyncIterator[Store]:
            try:
                store = open_layers(settings, schemes)
            except ConfigError as fault:
                raise StartError(f"{path}.{fault}") from fault
            try:
                yield store
            finally:
                await store.close()

        return opened

    @property
    def providers(self) -> dict[str, str]:
        """Return whose upstreams are, by their names, where that is known."""
        return {name: each.provider for name, each in self.config.upstreams.items() if each.provider}

    def face_of(self, upstream: str) -> UpstreamFace:
        """Return an upstream's face."""
        if upstream not in self._faces:
            config = self.config.upstreams[upstream]
            self._faces[upstream] = self.registered.upstream_faces[config.dialect].for_upstream(config)
        return self._faces[upstream]


def _register(plugin: Plugin[Any], hook: Callable[..., Any], into: Registrations) -> None:
    try:
        hook(Registry(plugin.name, into))
    except StartError:
        raise
    except Exception as fault:
        raise StartError(
            f"plugin {plugin.name!r}: register failed: {type(fault).__name__}: {fault}"
        ) from fault


def _on_routes(name: str, kind: type[Plugin[Any]]) -> dict[str, str]:
    """Say of the keys of a plugin's options on routes where they are written."""
    return {
        key: f"routes have it: `plugins: [{name}: {{{key}: ...}}]`"
        for key in kind.RouteConfig.__struct_encode_fields__
    }
