"""Plugins: what one is, what it may register, how it is found and checked."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, TypeVar

import msgspec
import pluggy

from llmproxy.authorizers import AuthorizerKind
from llmproxy.errors import ConfigError, StartError
from llmproxy.exchange import StateKey
from llmproxy.hooks import ASYNC_HOOKS, HOOKS, PROJECT, Hooks
from llmproxy.installed import available

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from llmproxy.authorizers import MakeAuthorizer
    from llmproxy.caching.insight import Insight
    from llmproxy.dialects import ClientFace, UpstreamFace
    from llmproxy.errors import GatewayError
    from llmproxy.exchange import Endpoint, Exchange
    from llmproxy.messages import ClientRequest, Reply
    from llmproxy.pools import Pool, Strategy
    from llmproxy.poolsettings import StrategyRef, TargetConfig
    from llmproxy.route import Route
    from llmproxy.stores import StoreScheme

#: The endpoints that would be tried, in their order, where a plugin foresees that.
FORESEEN: Final[StateKey[Sequence[Endpoint]]] = StateKey("foreseen")

C = TypeVar("C", bound=msgspec.Struct)


class NoConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration of a plugin that takes none."""


if TYPE_CHECKING:
    _Interface = Hooks
else:
    _Interface = object


class Plugin(Generic[C], _Interface):
    """What every plugin inherits from; write only the hooks you need, each marked `@hookimpl`.

    Attributes:
        Config: a frozen msgspec struct; the plugin's table in the configuration is decoded into it, strictly.
        RouteConfig: likewise for `- name: {...}` in a route's list; read it with `exchange.options(self)`.
        on_error: overrides every request hook's default on a fault: `open` goes on, `closed` refuses.
        wants_reply: whether `post_response` gets the whole bounded reply in `exchange.outcome.reply`.
        after: names of plugins that must stand above this one in a route's list; checked, never reordered.
        single: whether a route takes one instance of this plugin only.
        answers_preflights: whether its `pre_route` answers every CORS preflight; they reach it by their request's route.
        lists_members: whether it keeps `runtime.members`, so that targets may name it as their `members`.
        answers_header: the header field, in small letters, of those requests that its `transform_response` is for; b""
            where it is for all. Where nobody asks, a reply need not stop for it.
        prompt: whether its `transform_response` and `post_response` wait for nothing where an exchange was refused
            before anything else was done for it. What is refused at the door needs no task then.
        walks_pools: whether it chooses between the places of a pool; one is added to routes with pools that list none.
        dialects: those of upstreams that it contributes, which are loaded with it.
    """

    Config: ClassVar[type[msgspec.Struct]] = NoConfig
    RouteConfig: ClassVar[type[msgspec.Struct]] = NoConfig
    on_error: ClassVar[Literal["open", "closed"] | None] = None
    wants_reply: ClassVar[bool] = False
    after: ClassVar[tuple[str, ...]] = ()
    single: ClassVar[bool] = False
    prompt: ClassVar[bool] = False
    walks_pools: ClassVar[bool] = False
    dialects: ClassVar[tuple[str, ...]] = ()
    lists_members: ClassVar[bool] = False
    answers_preflights: ClassVar[bool] = False
    answers_header: ClassVar[bytes] = b""

    def __init__(self, name: str, config: C) -> None:
        self.name = name
        self.config = config

    def at_door(self, asked: float) -> GatewayError | None:
        """Return what a request is refused with as soon as it is read, before its route is known; None lets it in.

        Callers' requests only, and only where this plugin stands first on every route; what is let in comes to
        `pre_route` when it has its turn. `asked` is when it was read, on the gateway's clock: its exchange's `started`.
        """
        return None

    def check_options(self, options: Any, parameters: Collection[str]) -> None:
        """Raise a ConfigError where options that a route gives do not fit its path, whose parameters are `parameters`.

        Its path is relative to the options. Options of the pipeline are not asked about: they are of many routes.
        """

    @property
    def labels(self) -> Collection[str]:
        """What callers may be told apart by that this plugin lets in, besides tenant and key: `org`, `team`, `user`."""
        return ()

    def remarks(self, routes: Sequence[Route], labels: Collection[str]) -> Iterable[str]:
        """Return what `llmproxy check` shall note of a good configuration that may not do what is meant.

        `routes` are those that the plugin stands on, compiled and not started; `labels` are what callers may have.
        """
        return ()

    def foresee(self, exchange: Exchange, body: bytes) -> Sequence[tuple[str, str]]:
        """Return what `llmproxy explain` shall say of a request, as names and texts; nothing was started.

        The exchange's model and endpoints are known, `body` is the caller's. No text of the request belongs here. Who
        orders endpoints puts those that would be tried into `exchange.state[FORESEEN]`.
        """
        return ()

    async def look_into(self, exchange: Exchange) -> Insight | None:
        """Return what a cache makes of a request and has stored for it; None where this plugin is no cache.

        The gateway runs; the exchange has been through `pre_route`, and is not answered. No text of it belongs here.
        """
        return None

    def __repr__(self) -> str:
        return f"<plugin {self.name!r}>"


Handler = Callable[["Exchange"], Awaitable["Reply"]]
AdminHandler = Callable[["AdminRequest"], Awaitable["Reply"]]
#: Makes a pool's strategy from its options.
MakeStrategy = Callable[["Pool", Any], "Strategy"]
#: Says where a request leads, given where it would.
Choose = Callable[["Exchange", "Sequence[Endpoint]"], "Sequence[Endpoint]"]
#: Makes what chooses on a route from its options there, the pools by name, and what makes a pool's strategy.
MakeChoice = Callable[[Any, "Mapping[str, Pool]", "Callable[[Pool, StrategyRef], Strategy]"], Choose | None]
#: Turns texts into vectors of equal length.
Embedder = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """What an admin route's handler gets; `params` are the path's, decoded."""

    request: ClientRequest
    params: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AdminRoute:
    """A route of the admin listener and the permission that it needs."""

    method: str
    path: str
    handler: AdminHandler
    permission: str
    plugin: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """A route of the data listeners that a plugin answers itself, behind the common pipeline."""

    methods: tuple[str, ...]
    path: str
    handler: Handler
    plugin: str


@dataclass(frozen=True, slots=True)
class Answerer:
    """What answers routes in place of any upstream; `answers` tells by a route's options whether it is meant to."""

    handler: Handler
    answers: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class StrategyKind:
    """A strategy that pools may name: what makes it, and the struct that its options decode into."""

    make: MakeStrategy
    options: type[msgspec.Struct]


@dataclass(slots=True)
class Registrations:
    """All that the plugins of one generation registered."""

    client_faces: dict[str, ClientFace] = field(default_factory=dict)
    upstream_faces: dict[str, UpstreamFace] = field(default_factory=dict)
    store_schemes: dict[str, StoreScheme] = field(default_factory=dict)
    strategies: dict[str, StrategyKind] = field(default_factory=dict)
    authorizers: dict[str, AuthorizerKind] = field(default_factory=dict)
    choices: dict[str, MakeChoice] = field(default_factory=dict)
    target_checks: list[Callable[[TargetConfig], None]] = field(default_factory=list)
    embedders: dict[str, Embedder] = field(default_factory=dict)
    admin_routes: list[AdminRoute] = field(default_factory=list)
    public_routes: list[PublicRoute] = field(default_factory=list)
    answerers: dict[str, Answerer] = field(default_factory=dict)


class Registry:
    """What a plugin registers with; each method refuses a name that is taken."""

    def __init__(self, plugin: str, into: Registrations) -> None:
        self._plugin = plugin
        self._into = into

    def dialect(
        self, name: str, *, client: ClientFace | None = None, upstream: UpstreamFace | None = None
    ) -> None:
        """Offer a wire dialect: a client face, an upstream face, or both."""
        if client is not None:
            self._put(self._into.client_faces, "client dialect", name, client)
        if upstream is not None:
            self._put(self._into.upstream_faces, "upstream dialect", name, upstream)

    def store_scheme(self, scheme: str, open_store: StoreScheme) -> None:
        """Offer an engine for store URLs that start with `scheme`://."""
        self._put(self._into.store_schemes, "store scheme", scheme, open_store)

    def strategy(self, name: str, make: MakeStrategy, options: type[msgspec.Struct] = NoConfig) -> None:
        """Offer a strategy that pools may name; `make(pool, options)` is called once a pool and generation."""
        self._put(self._into.strategies, "strategy", name, StrategyKind(make, options))

    def authorizer(self, name: str, make: MakeAuthorizer, options: type[msgspec.Struct] = NoConfig) -> None:
        """Offer what signs requests or fetches tokens; `make(config, options)` is called once an upstream.

        Each generation has its own. Upstreams name it by `auth: NAME`; the plugin of that name need not be listed.
        """
        self._put(self._into.authorizers, "authorizer", name, AuthorizerKind(make, options))

    def choose_endpoints(self, make: MakeChoice) -> None:
        """Have a say in where requests lead on routes that list this plugin, once a request's model is resolved.

        `make` is called for each of these routes; it returns what is asked for every request, or None for no say, and
        raises `ConfigError` with the option that is wrong.
        """
        self._into.choices[self._plugin] = make

    def check_targets(self, check: Callable[[TargetConfig], None]) -> None:
        """Look at each target of a pool or a route before any request; `check` raises `ConfigError` with the key."""
        self._into.target_checks.append(check)

    def embedder(self, name: str, embedder: Embedder) -> None:
        """Offer an embedder; other plugins get it by `runtime.embedder(name)`."""
        self._put(self._into.embedders, "embedder", name, embedder)

    def admin_route(self, method: str, path: str, handler: AdminHandler, *, permission: str) -> None:
        """Serve `path` on the admin listener to whoever holds `permission`."""
        self._into.admin_routes.append(AdminRoute(method, path, handler, permission, self._plugin))

    def page(self, path: str, title: str, handler: AdminHandler, *, permission: str = "read") -> None:
        """Serve an HTML page on the admin listener, listed on its front page by `title`."""
        self._into.admin_routes.append(AdminRoute("GET", path, handler, permission, self._plugin, title))

    def public_route(self, methods: Sequence[str], path: str, handler: Handler) -> None:
        """Serve `path` on the data listeners, behind the configuration's common pipeline."""
        for other in self._into.public_routes:
            if other.path == path and (not methods or not other.methods or {*methods} & {*other.methods}):
                raise StartError(
                    f"plugin {self._plugin!r}: public route {path!r} is served by plugin {other.plugin!r}"
                )
        self._into.public_routes.append(PublicRoute(tuple(methods), path, handler, self._plugin))

    def answer_routes(self, handler: Handler, *, when: Callable[[Any], bool] = lambda options: True) -> None:
        """Answer the routes that list this plugin in place of any upstream, below all plugins that they list.

        `when` is given the plugin's `RouteConfig` there. Such a route names no upstream, pool, targets or models.
        """
        self._into.answerers[self._plugin] = Answerer(handler, when)

    def _put(self, table: dict[str, Any], kind: str, name: str, value: object) -> None:
        if name in table:
            raise StartError(f"plugin {self._plugin!r}: {kind} {name!r} is registered already")
        table[name] = value


def load(use: str, path: str, points: Mapping[str, EntryPoint] | None = None) -> type[Plugin[Any]]:
    """Import the plugin class that `use` names: an entry point of `points`, or `package.module:Class`.

    Raises:
        ConfigError: nothing of that name is installed, or what was found is no plugin.
    """
    points = available() if points is None else points
    try:
        if ":" in use:
            module, _, attribute = use.partition(":")
            found = getattr(importlib.import_module(module), attribute)
        elif use in points:
            found = points[use].load()
        else:
            near = get_close_matches(use, points, n=1)
            raise ConfigError(path, f"no plugin named {use!r} is installed", near[0] if near else None)
    except ConfigError:
        raise
    except Exception as fault:  # an import runs the plugin's code, which may raise anything
        reason = str(fault).partition("\n")[0]
        raise ConfigError(
            path, f"plugin {use!r} cannot be imported: {type(fault).__name__}: {reason}"
        ) from fault
    if not (isinstance(found, type) and issubclass(found, Plugin)):
        raise ConfigError(path, f"{use!r} is not a subclass of llmproxy.plugin.Plugin")
    return found


class _Hooked(pluggy.PluginManager):
    """Looks at what may be a hook only: nothing else is marked, `check` has seen to it."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        return super().parse_hookimpl_opts(plugin, name) if name in HOOKS else None


class HookTable:
    """The plugin instances of one generation, checked against the specification."""

    def __init__(self, plugins: Iterable[Plugin[Any]]) -> None:
        self._pluggy = _Hooked(PROJECT)
        self._pluggy.add_hookspecs(Hooks)
        self.plugins = list(plugins)
        for plugin in self.plugins:
            check(plugin)
            try:
                self._pluggy.register(plugin, plugin.name)
                self._pluggy.check_pending()
            except pluggy.PluginValidationError as fault:
                raise StartError(f"plugin {plugin.name!r}: {str(fault).splitlines()[-1].strip()}") from fault

    def implements(self, plugin: Plugin[Any], hook: str) -> bool:
        """Whether `plugin` wrote this hook."""
        return any(impl.plugin is plugin for impl in getattr(self._pluggy.hook, hook).get_hookimpls())

    def methods(self, hook: str) -> list[tuple[Plugin[Any], Callable[..., Any]]]:
        """Return the bound implementations of one hook, in config order."""
        return [(plugin, getattr(plugin, hook)) for plugin in self.plugins if self.implements(plugin, hook)]


def check(plugin: Plugin[Any]) -> None:
    """Refuse what pluggy would let pass: wrong colour, missing arguments, order marks, unknown or unmarked hooks.

    Raises:
        StartError: one line that names the plugin and what would have been right.
    """
    for name, member in inspect.getmembers(type(plugin)):
        marks = getattr(inspect.unwrap(member) if callable(member) else member, f"{PROJECT}_impl", None)
        marks = getattr(member, f"{PROJECT}_impl", marks)
        if marks is None:
            if name in HOOKS:
                raise StartError(f"plugin {plugin.name!r}: {name!r} is a hook but is not marked @hookimpl")
            continue
        _check_hook(plugin.name, name, member, marks)


def _check_hook(plugin: str, name: str, member: Any, marks: Mapping[str, Any]) -> None:
    if name not in HOOKS:
        near = get_close_matches(name, HOOKS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise StartError(f"plugin {plugin!r}: no hook is called {name!r}{hint}")
    if marks.get("specname"):
        raise StartError(f"plugin {plugin!r}: {name!r} must implement the hook that it is called after")
    if any(marks.get(mark) for mark in ("tryfirst", "trylast", "hookwrapper", "wrapper")):
        raise StartError(
            f"plugin {plugin!r}: {name!r} asks for a place in the order; the config's order is the order"
        )
    wanted = list(inspect.signature(getattr(Hooks, name)).parameters)
    given = list(inspect.signature(member).parameters)
    if given != wanted:
        raise StartError(
            f"plugin {plugin!r}: {name}({', '.join(given)}) should be {name}({', '.join(wanted)})"
        )
    if name == "lifespan":
        if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member):
            raise StartError(f"plugin {plugin!r}: 'lifespan' must be marked @asynccontextmanager")
        return
    is_async = inspect.iscoroutinefunction(inspect.unwrap(member))
    if is_async != (name in ASYNC_HOOKS):
        right = "async def" if name in ASYNC_HOOKS else "a plain def"
        raise StartError(f"plugin {plugin!r}: {name!r} must be {right}")
