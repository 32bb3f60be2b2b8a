"""The configuration's typed sections; what each key means and what it is when left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, ClassVar, Final, Literal

from llmproxy.addresses import Address, parse_address
from llmproxy.commitsettings import CommitConfig
from llmproxy.elsewhere import IN_ALL, IN_ROUTES
from llmproxy.errors import ConfigError
from llmproxy.fetchpolicy import FetchingConfig
from llmproxy.modelsettings import ModelConfig
from llmproxy.patterns import compile_path
from llmproxy.poolsettings import (
    PoolConfig,
    StrategyRef,
    TargetConfig,
    check_answering,
    upstreams_of,
)
from llmproxy.pricesettings import ChargingConfig, PriceConfig
from llmproxy.references import Secret, quoted
from llmproxy.sections import Section, name_with_options
from llmproxy.units import Duration, Size
from llmproxy.upstreamsettings import (
    AuthorizerRef,
    PoolSettings,
    Positive,
    TimeoutOverrides,
    Timeouts,
    UpstreamConfig,
    UpstreamTls,
)

__all__ = [
    "Admin",
    "AuthorizerRef",
    "CommitConfig",
    "Config",
    "Fragment",
    "Listener",
    "LogConfig",
    "Match",
    "ModelConfig",
    "PluginConfig",
    "PluginRef",
    "PoolConfig",
    "PoolSettings",
    "RouteConfig",
    "Section",
    "ServerSettings",
    "StoreConfig",
    "StrategyRef",
    "TargetConfig",
    "TimeoutOverrides",
    "Timeouts",
    "TlsConfig",
    "UpstreamConfig",
    "UpstreamTls",
]

OnError = Literal["open", "closed"]

#: The plugin that walks pools where none is configured; routes may list it, with settings, all the same.
BALANCER: Final = "balance"

#: Seconds between keep-alives, at least.
SHORTEST_KEEPALIVE: Final = 1.0

KiB: Final = 2**10
MiB: Final = 2**20


def _with_use(name: str, plugin: object) -> object:
    if plugin is None:
        return {"use": name}
    return {"use": name} | plugin if isinstance(plugin, dict) else plugin


def _checked(path: str, parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(path, str(error)) from None


def _is_host_pattern(host: str) -> bool:
    labels = host.removeprefix("*.")
    if labels.startswith("[") and labels.endswith("]"):
        return labels == host
    return bool(labels) and not any(character in "*:/@ ?#" for character in labels)


class TlsConfig(Section, frozen=True):
    """A listener's certificate, and whether its clients need one."""

    certificate: str
    key: str
    client_ca: str | None = None
    client_auth: Literal["none", "optional", "required"] = "none"

    def __post_init__(self) -> None:
        if self.client_auth != "none" and self.client_ca is None:
            raise ConfigError("client_ca", f'missing; client_auth "{self.client_auth}" needs it')


class Listener(Section, frozen=True):
    """One address to take requests on, TCP or Unix."""

    address: str
    tls: TlsConfig | None = None
    trusted_proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _checked("address", parse_address, self.address)
        for index, network in enumerate(self.trusted_proxies):
            try:
                ip_network(network)
            except ValueError:
                message = f'{quoted(network)} is not a network such as "10.0.0.0/8"'
                raise ConfigError(f"trusted_proxies[{index}]", message) from None

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`listen: 127.0.0.1:8080` is an address."""
        return {"address": tree} if isinstance(tree, str) else tree

    @property
    def host(self) -> str:
        """The host, without brackets; empty for a Unix socket."""
        return parse_address(self.address).host

    @property
    def port(self) -> int:
        """The port; 0 asks the system for one."""
        return parse_address(self.address).port

    @property
    def path(self) -> str | None:
        """The Unix socket's path, or None for TCP."""
        return parse_address(self.address).path


class Admin(Section, frozen=True):
    """The listener of admin routes, pages and metrics."""

    listen: str = "127.0.0.1:9901"
    token: Secret | None = None

    def __post_init__(self) -> None:
        if self.address is not None and not self.address.is_loopback and self.token is None:
            raise ConfigError("token", f"missing; {quoted(self.listen)} can be reached from other machines")

    @property
    def address(self) -> Address | None:
        """Where to listen, or None for "off"."""
        return None if self.listen == "off" else _checked("listen", parse_address, self.listen)


class ServerSettings(Section, frozen=True):
    """Limits of the client side, the same for all listeners."""

    max_body: Size = 32 * MiB
    max_header_size: Size = 16 * KiB
    header_timeout: Duration = 10.0
    body_timeout: Duration = 60.0
    keepalive_timeout: Duration = 75.0
    write_timeout: Duration = 60.0
    drain_timeout: Duration = 30.0
    drain_pause: Duration = 0.5
    backlog: Positive = 4096
    request_id_header: str = "x-request-id"


class StoreConfig(Section, frozen=True):
    """A store by its URL, e.g. `memory://`, `lmdb:///var/lib/llmproxy`, `redis://host:6379/0`, and what is around it.

    `near` is a store in this process that is asked first; what it gives a plugin that does not judge for itself is
    `near_ttl` old at most. Values of `compress_above` bytes or more are compressed, and all are encrypted with the
    first key of `encryption_key` (32 bytes, in hexadecimal or base64) while any of them decrypts; `near` has them plain.
    """

    url: str
    near: str | None = None
    near_ttl: Duration = 1.0
    compress: Literal["zstd"] | None = None
    compress_above: Size = 4 * KiB
    encryption_key: tuple[Secret, ...] = ()

    def __post_init__(self) -> None:
        for key, url in (("url", self.url), ("near", self.near)):
            if url is not None and not re.match(r"[a-z][a-z0-9+.-]*:", url):
                # not repeated: it may hold a password
                raise ConfigError(key, 'no scheme, as in "redis://127.0.0.1:6379/0"')

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`main: redis://127.0.0.1` is a URL; `encryption_key: ${env:KEY}` is the only one."""
        if isinstance(tree, str):
            return {"url": tree}
        if isinstance(tree, dict) and isinstance(tree.get("encryption_key"), str):
            return tree | {"encryption_key": [tree["encryption_key"]]}
        return tree


class PluginConfig(Section, frozen=True):
    """A named instance of a plugin; `config` is what the plugin's own struct decodes."""

    use: str
    config: dict[str, Any] = {}
    on_error: OnError | None = None

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """Keys other than `use` and `on_error` are the plugin's own."""
        if not isinstance(tree, dict):
            return tree
        own = {key: value for key, value in tree.items() if key in {"use", "on_error"}}
        return own | {"config": {key: value for key, value in tree.items() if key not in own}}


class PluginRef(Section, frozen=True):
    """A plugin instance in a route's list, with the route's options for it: a mapping, or a plugin's shorthand."""

    name: str
    options: Any = {}

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`- cache` is a name; `- cache: {ttl: 5m}` a name with its options, `- cache: faq` with a shorthand of them."""
        return name_with_options(tree, "a plugin's")


class Match(Section, frozen=True):
    """Which requests a route takes. All conditions must hold."""

    path: str = "/*"
    host: str | None = None
    methods: tuple[str, ...] | None = None
    headers: dict[str, str] = {}
    query: dict[str, str] = {}

    def __post_init__(self) -> None:
        _checked("path", compile_path, self.path)
        if self.host is not None and not _is_host_pattern(self.host):
            message = f'{quoted(self.host)} is not a host such as "api.example.com" or "*.example.com"'
            raise ConfigError("host", message + " (no port)")
        for index, method in enumerate(self.methods or ()):
            if not method.isalpha() or method != method.upper():
                raise ConfigError(
                    f"methods[{index}]", f"{quoted(method)} is not a method such as GET or POST"
                )
        if self.methods == ():
            raise ConfigError("methods", "empty, so the route would never match; leave it out for any method")


class RouteConfig(Section, frozen=True):
    """A route: what it matches, the plugins it passes, where it leads: an upstream, a pool, or targets like a pool's.

    `attempts` bounds the attempts at one request, whatever they are for: retries, other keys, fallback, hedging.
    `deadline` bounds the time they have together; without one it is the first target's total timeout.
    `commit` bounds how long an answer's head waits for the first output. With a `keepalive`, a caller who waits for an
    event stream gets its head and a comment when so much time has passed, and further ones, while attempts go on.
    """

    name: str
    match: Match = Match()
    plugins: tuple[PluginRef, ...] = ()
    upstream: str | None = None
    pool: str | None = None
    targets: tuple[TargetConfig, ...] = ()
    strategy: StrategyRef | None = None
    attempts: Positive = 3
    deadline: Duration | None = None
    commit: CommitConfig = CommitConfig()
    keepalive: Duration | None = None
    models: dict[str, ModelConfig] | None = None
    timeouts: TimeoutOverrides | None = None
    max_body: Size | None = None
    lossy: Literal["allow", "warn", "refuse"] = "warn"
    meter_usage: bool = True
    charging: ChargingConfig | None = None

    elsewhere: ClassVar[Mapping[str, str]] = IN_ROUTES

    def __post_init__(self) -> None:
        given = [key for key in ("upstream", "pool", "targets") if getattr(self, key)]
        if len(given) > 1:
            raise ConfigError(given[1], f"stands beside {given[0]}; write one of them")
        if self.targets:
            check_answering(self.targets)
        if self.strategy is not None and not self.targets:
            raise ConfigError("strategy", "orders targets, and there are none; a pool has its own")
        if self.deadline == 0:
            raise ConfigError("deadline", "a deadline of 0s would fail every request")
        if self.keepalive is not None and self.keepalive < SHORTEST_KEEPALIVE:
            raise ConfigError("keepalive", "less than a second: that would be a flood, not a sign of life")


class LogConfig(Section, frozen=True):
    """What is logged and how; `auto` is console on a terminal, JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console", "auto"] = "auto"


class Config(Section, frozen=True, rename={"listeners": "listen"}):
    """The whole configuration."""

    version: Literal[1] = 1
    listeners: tuple[Listener, ...] = (Listener(address="127.0.0.1:8080"),)
    admin: Admin = Admin()
    server: ServerSettings = ServerSettings()
    log: LogConfig = LogConfig()
    stores: dict[str, StoreConfig] = {}
    memory: str | None = None
    fetching: FetchingConfig = FetchingConfig()
    upstreams: dict[str, UpstreamConfig] = {}
    pools: dict[str, PoolConfig] = {}
    models: dict[str, ModelConfig] = {}
    prices: dict[str, PriceConfig] = {}
    plugins: dict[str, PluginConfig] = {}
    pipeline: tuple[PluginRef, ...] = ()
    routes: tuple[RouteConfig, ...] = ()

    elsewhere: ClassVar[Mapping[str, str]] = IN_ALL

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """One listener needs no list; an instance without `use` is of the plugin it is named after."""
        if not isinstance(tree, dict):
            return tree
        changed = dict(tree)
        if isinstance(tree.get("listen"), str | dict):
            changed["listen"] = [tree["listen"]]
        if isinstance(plugins := tree.get("plugins"), dict):
            changed["plugins"] = {name: _with_use(name, plugin) for name, plugin in plugins.items()}
        return changed

    def upstreams_of(self, route: RouteConfig) -> tuple[str, ...]:
        """Return the names of the upstreams that a route leads to by itself, in order, those in its pools included."""
        if route.upstream is not None:
            return (route.upstream,)
        own = PoolConfig(targets=route.targets) if route.targets else None
        pools = self.pools if own is None else {**self.pools, "": own}
        name = "" if own is not None else route.pool
        return () if name is None else tuple(dict.fromkeys(upstreams_of(name, pools)))

    def lists(self, plugin: str) -> bool:
        """Whether the pipeline or a route lists a plugin."""
        refs = [ref for route in self.routes for ref in route.plugins]
        return any(ref.name == plugin for ref in (*self.pipeline, *refs))

    def listed_upstreams(self) -> frozenset[str]:
        """Return the names of the upstreams in whose place discovered members stand."""
        pools = [pool.targets for pool in self.pools.values()] + [route.targets for route in self.routes]
        targets = [target for each in pools for target in each]
        return frozenset(target.upstream for target in targets if target.members and target.upstream)

    def kind_of(self, route: RouteConfig) -> Literal["http", "model"]:
        """Say whether a route serves a plain HTTP API or language models."""
        found = (self.upstreams.get(name) for name in self.upstreams_of(route))
        dialects = {each.dialect for each in found if isinstance(each, UpstreamConfig)}
        return "http" if "http" in dialects else "model"


class Fragment(Section, frozen=True):
    """What a plugin may add to the configuration from elsewhere."""

    upstreams: dict[str, UpstreamConfig] = {}
    pools: dict[str, PoolConfig] = {}
    models: dict[str, ModelConfig] = {}
    prices: dict[str, PriceConfig] = {}
    routes: tuple[RouteConfig, ...] = ()
