"""From a configuration's routes to compiled ones: where they lead, which plugins they pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from llmproxy.assembly import Assembly
from llmproxy.commit import terms_of
from llmproxy.config import decode_struct
from llmproxy.dialects import LocalUpstream
from llmproxy.errors import ConfigError, ConfigErrors, StartError, below
from llmproxy.exchange import Endpoint
from llmproxy.keypaths import join_key, join_paths
from llmproxy.listing import Listing
from llmproxy.patterns import compile_path
from llmproxy.pipeline import Pipeline
from llmproxy.pools import Pool, Strategy, compile_pools
from llmproxy.registry import Plugin
from llmproxy.route import Route, Target
from llmproxy.routing import ModelTable
from llmproxy.settings import Match, PluginRef, PoolConfig, RouteConfig, StrategyRef
from llmproxy.suggestions import unknown_strategy
from llmproxy.tariff import Tariff
from llmproxy.upstreams import build_upstreams

if TYPE_CHECKING:
    from llmproxy.registry import Choose, Handler
    from llmproxy.runtime import Process


def build_routes(assembly: Assembly, process: Process, environ: Mapping[str, str]) -> list[Route]:
    """Compile every route, the plugins' own ones included."""
    config = assembly.config
    tariff = Tariff(assembly.providers, process.clock, config.prices)
    assembly.upstreams = build_upstreams(assembly, process, environ)
    _check_targets(assembly)
    assembly.pools = compile_pools(config.pools, partial(_strategy, assembly, {}))
    routes = [_configured(assembly, route) for route in config.routes]
    for public in assembly.registered.public_routes:
        match = Match(path=public.path, methods=public.methods)
        name = f"{public.plugin}:{public.path}"
        routes.append((Route(name, match, handler=public.handler), ()))
    for route, refs in routes:
        plugins = _plugins_of(assembly, _with_walker(assembly, route, refs), route.name)
        route.tariff = tariff
        route.options = {p.name: _options(p, ref, route.name) for p, ref in plugins}
        _check_options(route, [plugin for plugin, ref in plugins if ref in refs])
        route.choose = _choice(assembly, route)
        instances = [plugin for plugin, _ in plugins]
        route.answers_preflights = any(plugin.answers_preflights for plugin in instances)
        route.pipeline = Pipeline(
            route, assembly.table, instances, assembly.policies, process.metrics, process.clock
        )
    return [route for route, _ in routes]


def _configured(assembly: Assembly, settings: RouteConfig) -> tuple[Route, tuple[PluginRef, ...]]:
    config = assembly.config
    route = Route(settings.name, settings.match, meter_usage=settings.meter_usage, lossy=settings.lossy)
    route.max_body = settings.max_body if settings.max_body is not None else config.server.max_body
    route.fetching = config.fetching
    route.idle_timeout = settings.timeouts.idle if settings.timeouts and settings.timeouts.idle else 60.0
    route.targets = {name: _target(assembly, name, settings) for name in config.upstreams}
    route.most_attempts, route.deadline, route.charging = (
        settings.attempts,
        settings.deadline,
        settings.charging,
    )
    own = _own_pool(assembly, settings)
    route.handler = _answerer(assembly, settings)
    if route.handler is not None:
        return route, settings.plugins
    route.defaults = own or tuple(Endpoint(name) for name in config.upstreams_of(settings))
    if config.kind_of(settings) == "model":
        route.models = ModelTable.for_route(config, settings, assembly.pools, own)
        route.listing = Listing(route.models, assembly.providers)
        route.listed = settings.models is not None
        _set_faces(assembly, route, settings)
        route.commit = terms_of(settings.commit, settings.keepalive)
        route.keepalive = settings.keepalive
    return route, settings.plugins


def _choice(assembly: Assembly, route: Route) -> Choose | None:
    """Return what has a say in where a route's requests lead: the first plugin there that wants one."""
    pools = dict(assembly.pools)
    if isinstance(route.defaults, Pool):
        pools.setdefault(route.defaults.name, route.defaults)
    for name, make in assembly.registered.choices.items():
        path = f"routes.{route.name}.plugins.{name}"
        if name not in route.options:
            continue
        try:
            choose = make(route.options[name], pools, partial(_made, assembly))
        except (ConfigError, ConfigErrors) as fault:
            raise below(path, fault) from None
        if choose is not None:
            return choose
    return None


def _check_targets(assembly: Assembly) -> None:
    """Have plugins look at all targets of pools and routes."""
    config, errors = assembly.config, list[ConfigError]()
    owners = [(join_key("pools", name), pool.targets) for name, pool in config.pools.items()]
    owners += [(join_key("routes", route.name), route.targets) for route in config.routes]
    for path, targets in owners:
        for index, target in enumerate(targets):
            for check in assembly.registered.target_checks:
                try:
                    check(target)
                except ConfigError as fault:
                    key = join_paths(f"{path}.targets[{index}]", fault.path)
                    errors.append(ConfigError(key, fault.message, fault.suggestion))
    if errors:
        raise ConfigErrors(errors)


def _answerer(assembly: Assembly, settings: RouteConfig) -> Handler | None:
    """Return the handler of a plugin that answers this route itself, if the route lists one that is meant to."""
    for ref in settings.plugins:
        answerer = assembly.registered.answerers.get(ref.name)
        if answerer is None:
            continue
        plugin = next(each for each in assembly.table.plugins if each.name == ref.name)
        if answerer.answers(_options(plugin, ref, settings.name)):
            if settings.models is not None or assembly.config.upstreams_of(settings):
                raise StartError(
                    f"route {settings.name!r}: plugin {ref.name!r} answers it; leave its upstream, pool and models out"
                )
            return answerer.handler
    return None


def _own_pool(assembly: Assembly, settings: RouteConfig) -> Pool | None:
    """Return the pool that a route leads to by itself: one that it names, or the one that its targets are."""
    if settings.pool is not None:
        return assembly.pools[settings.pool]
    if not settings.targets:
        return None
    path = f"routes.{settings.name}"
    own = PoolConfig(targets=settings.targets, strategy=settings.strategy)
    make = partial(_strategy, assembly, {path: f"{path}.strategy"})
    return compile_pools({**assembly.config.pools, path: own}, make, dict(assembly.pools))[path]


def _strategy(assembly: Assembly, paths: Mapping[str, str], pool: Pool, ref: StrategyRef) -> Strategy:
    path = paths.get(pool.name) or join_key("pools", pool.name) + ".strategy"
    try:
        return _made(assembly, pool, ref)
    except (ConfigError, ConfigErrors) as fault:
        raise below(path, fault) from None


def _made(assembly: Assembly, pool: Pool, ref: StrategyRef) -> Strategy:
    known = assembly.registered.strategies
    if ref.name not in known:
        raise unknown_strategy("", ref.name, known)
    kind = known[ref.name]
    return kind.make(pool, decode_struct(kind.options, ref.options, ""))


def _target(assembly: Assembly, name: str, settings: RouteConfig) -> Target:
    config = assembly.config.upstreams[name]
    timeouts = settings.timeouts.over(config.timeouts) if settings.timeouts else config.timeouts
    face = assembly.face_of(name)
    local = face if isinstance(face, LocalUpstream) else None
    return Target(assembly.upstreams[name], face, timeouts, local)


def _set_faces(assembly: Assembly, route: Route, settings: RouteConfig) -> None:
    """Say whose callers a route serves: its path may pin them; else each request tells, or the upstream does."""
    faces = assembly.faces
    path = settings.match.path
    pinned = None if "*" in path or "{" in path else faces.pinned(path)
    if pinned is not None:
        route.face = pinned
        return
    route.faces = faces
    if settings.upstream is not None:
        wire = assembly.face_of(settings.upstream).wire
        route.face = next((f for f in assembly.registered.client_faces.values() if f.wire == wire), None)


def _with_walker(assembly: Assembly, route: Route, refs: Sequence[PluginRef]) -> list[PluginRef]:
    """Return what a route passes, with what walks its pools as the innermost where the lists leave it out."""
    listed = _listed(assembly.config.pipeline, refs)
    walker = assembly.walker
    pooled = isinstance(route.defaults, Pool) or (route.models is not None and bool(assembly.pools))
    if walker is not None and pooled and route.handler is None:
        walkers = {plugin.name for plugin in assembly.table.plugins if plugin.walks_pools}
        if not any(ref.name in walkers for ref in listed):
            listed.append(PluginRef(name=walker))
    return listed


def _listed(pipeline: Sequence[PluginRef], refs: Sequence[PluginRef]) -> list[PluginRef]:
    """Return what a route passes; a plugin of the pipeline that the route names again keeps its place."""
    own = {ref.name: ref for ref in refs}
    common = [own.pop(ref.name, ref) for ref in pipeline]
    return [*common, *own.values()]


def _plugins_of(
    assembly: Assembly, refs: Sequence[PluginRef], route: str
) -> list[tuple[Plugin[Any], PluginRef]]:
    by_name = {plugin.name: plugin for plugin in assembly.table.plugins}
    found = [(by_name[ref.name], ref) for ref in refs]
    seen: set[str] = set()
    for plugin, _ in found:
        for earlier in plugin.after:
            listed = {p.name for p, _ in found}
            if earlier in listed and earlier not in seen:
                raise StartError(f"route {route!r}: plugin {plugin.name!r} must stand below {earlier!r}")
        twin = next((p.name for p, _ in found if type(p) is type(plugin) and p.name in seen), None)
        if plugin.single and twin is not None:
            raise StartError(
                f"route {route!r}: plugins {twin!r} and {plugin.name!r} are of one kind, of which a route takes one"
            )
        seen.add(plugin.name)
    return found


def _options(plugin: Plugin[Any], ref: PluginRef, route: str) -> msgspec.Struct:
    path = f"routes.{route}.plugins.{plugin.name}"
    return decode_struct(type(plugin).RouteConfig, ref.options, path, _on_plugins(plugin.name, type(plugin)))


def _check_options(route: Route, plugins: Sequence[Plugin[Any]]) -> None:
    """Have plugins look at the options that a route gives them itself."""
    parameters = compile_path(route.match.path).parameters
    for plugin in plugins:
        try:
            plugin.check_options(route.options[plugin.name], parameters)
        except ConfigError as fault:
            raise below(f"routes.{route.name}.plugins.{plugin.name}", fault) from None


def _on_plugins(name: str, kind: type[Plugin[Any]]) -> dict[str, str]:
    """Say of the keys of a plugin's own settings where they are written."""
    return {
        key: f"it holds for all routes: `plugins.{name}.{key}`"
        for key in kind.Config.__struct_encode_fields__
    }
