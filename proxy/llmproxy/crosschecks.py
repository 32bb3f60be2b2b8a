"""Checks that no section can make alone: what names what, and what can never be reached."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from llmproxy.decode import BROKEN
from llmproxy.errors import ConfigError
from llmproxy.keypaths import join_key
from llmproxy.modelsettings import own_pools, pool_name
from llmproxy.pools import Pool, place_of
from llmproxy.poolsettings import DEEPEST, depth_of
from llmproxy.references import quoted
from llmproxy.routing import ModelTable
from llmproxy.settings import (
    BALANCER,
    Config,
    Match,
    ModelConfig,
    PluginConfig,
    PluginRef,
    RouteConfig,
    TargetConfig,
    UpstreamConfig,
)
from llmproxy.suggestions import unknown_name

ItemT = TypeVar("ItemT")

#: Stands for what pools lead to where only their names count.
_ANY: Final = TargetConfig(upstream="any")


def cross_check(config: Config) -> Iterator[ConfigError]:
    """Yield every mistake between sections; broken parts were told before and are passed over."""
    yield from _check_pools(config)
    yield from _check_models("models", config.models, config)
    yield from _check_prices(config)
    yield from _check_plugins("pipeline", config.pipeline, config.plugins, ())
    yield from _check_listeners(config)
    if config.memory is not None and config.memory not in config.stores:
        yield unknown_name("memory", "store", config.memory, config.stores)
    prefix = [ref.name for _, ref in _sound(config.pipeline)]
    for index, route in _sound(config.routes):
        yield from _check_route(f"routes[{index}]", route, config, prefix)
    yield from _check_distinct(config.routes)


def _check_route(
    path: str, route: RouteConfig, config: Config, prefix: Collection[str]
) -> Iterator[ConfigError]:
    yield from _check_ends(path, route, config)
    if route.models is not None:
        yield from _check_models(f"{path}.models", route.models, config, route.name)
        if _serves_plain_http(route, config):
            first = quoted(config.upstreams_of(route)[0])
            yield ConfigError(f"{path}.models", f"upstream {first} serves no models")
    yield from _check_plugins(f"{path}.plugins", route.plugins, config.plugins, prefix)


def _check_ends(path: str, route: RouteConfig, config: Config) -> Iterator[ConfigError]:
    """Check where a route leads by itself."""
    if route.upstream is not None:
        yield from _check_end(f"{path}.upstream", "upstream", route.upstream, config)
    if route.pool is not None:
        yield from _check_end(f"{path}.pool", "pool", route.pool, config)
    yield from _check_targets(f"{path}.targets", route.targets, config)
    if _serves_plain_http(route, config):
        for name in config.upstreams_of(route):
            upstream = config.upstreams.get(name)
            if isinstance(upstream, UpstreamConfig) and upstream.dialect != "http":
                here = f"{path}.targets" if route.targets else f"{path}.pool"
                yield ConfigError(here, f"upstream {quoted(name)} serves models, another target plain HTTP")


def _check_end(path: str, kind: str, name: str, config: Config) -> Iterator[ConfigError]:
    """Check the name of an `upstream` or a `pool`, which many mistake for each other."""
    known: Mapping[str, Collection[str]] = {"upstream": config.upstreams, "pool": config.pools}
    if name in known[kind]:
        return
    other = "pool" if kind == "upstream" else "upstream"
    if name in known[other]:
        article = "an" if other == "upstream" else "a"
        yield ConfigError(path, f"{quoted(name)} is {article} {other}; write {{{other}: {name}}}")
    else:
        yield unknown_name(path, kind, name, known[kind])


def _check_pools(config: Config) -> Iterator[ConfigError]:
    for name, pool in config.pools.items():
        if pool is BROKEN:
            continue
        here = join_key("pools", name)
        yield from _check_targets(f"{here}.targets", pool.targets, config)
        if depth_of(name, config.pools) > DEEPEST:
            yield ConfigError(here, f"leads back to itself, or through more than {DEEPEST} pools")


def _check_targets(path: str, targets: Sequence[TargetConfig], config: Config) -> Iterator[ConfigError]:
    seen: dict[tuple[object, ...], int] = {}
    for index, target in _sound(targets):
        here = f"{path}[{index}]"
        if target.upstream is not None:
            yield from _check_end(f"{here}.upstream", "upstream", target.upstream, config)
        if target.pool is not None:
            yield from _check_end(f"{here}.pool", "pool", target.pool, config)
        if target.members is not None and target.members not in config.plugins:
            yield unknown_name(f"{here}.members", "plugin", target.members, config.plugins)
        upstream = target.upstream or ""
        if target.members is not None and _has_own_proxy(config.upstreams.get(upstream)):
            message = f"members are reached directly, and upstream {quoted(upstream)} has a proxy"
            yield ConfigError(f"{here}.members", message)
        place = (target.upstream, target.model, target.pool, target.members)
        if place in seen:
            yield ConfigError(here, f"the same place as targets[{seen[place]}]")
        seen.setdefault(place, index)


def _has_own_proxy(upstream: object) -> bool:
    return isinstance(upstream, UpstreamConfig) and upstream.proxy not in {None, "env"}


def _serves_plain_http(route: RouteConfig, config: Config) -> bool:
    return config.kind_of(route) == "http"


def _check_models(
    path: str, models: Mapping[str, ModelConfig], config: Config, route: str = ""
) -> Iterator[ConfigError]:
    upstreams = config.upstreams
    sound = {name: model for name, model in {**config.models, **models}.items() if model is not BROKEN}
    taken = any(config.upstreams_of(route) for _, route in _sound(config.routes) if route.models is None)
    defaults = ("any",) if taken and models is config.models else ()
    sound, own = own_pools(sound)
    pools = {name: Pool.of(name, [place_of(_ANY)]) for name in (*config.pools, *own)}
    table = ModelTable(sound, upstreams, defaults, pools=pools)
    for name, model in models.items():
        here = join_key(path, name)
        if name.count("*") > 1:
            yield ConfigError(here, f'{quoted(name)} holds more than one "*"')
        if model is BROKEN:
            continue
        if model.upstream is not None:
            yield from _check_end(f"{here}.upstream", "upstream", model.upstream, config)
        if model.pool is not None:
            yield from _check_end(f"{here}.pool", "pool", model.pool, config)
        if model.alias is not None:
            yield from _check_alias(f"{here}.alias", name, model.alias, table, config.pools)
        if model.targets is not None:
            yield from _check_targets(f"{here}.targets", model.targets, config)
            if pool_name(name, route) in config.pools:
                message = f"there is a pool {quoted(pool_name(name, route))} already; write {{pool: ...}} to lead there"
                yield ConfigError(f"{here}.targets", message)


def _check_alias(
    path: str, name: str, alias: str, table: ModelTable, pools: Collection[str]
) -> Iterator[ConfigError]:
    if "*" in alias and "*" not in name:
        yield ConfigError(path, f'holds a "*" that stands for nothing, as {quoted(name)} has none')
    elif "*" not in name and table.resolve(alias) is None:
        if alias in pools:
            yield ConfigError(path, f"{quoted(alias)} is a pool; write {{pool: {alias}}}")
        elif alias in table.names():
            yield ConfigError(path, f"{quoted(alias)} leads back here, or through too many names")
        else:
            yield unknown_name(path, "model", alias, table.names())


def _check_plugins(
    path: str, refs: tuple[PluginRef, ...], plugins: Mapping[str, PluginConfig], before: Collection[str]
) -> Iterator[ConfigError]:
    seen: set[str] = set()
    for index, ref in _sound(refs):
        here = f"{path}[{index}]"
        if ref.name not in plugins:
            if ref.name != BALANCER or any(plugin.use == BALANCER for _, plugin in _sound(plugins.values())):
                yield _unlisted(here, ref.name, plugins)
        elif ref.name in seen:
            yield ConfigError(here, f"plugin {quoted(ref.name)} stands in this list twice")
        elif ref.name in before and not ref.options:
            yield ConfigError(
                here, f"plugin {quoted(ref.name)} is in the pipeline, which every route has already"
            )
        seen.add(ref.name)


def _unlisted(path: str, name: str, plugins: Collection[str]) -> ConfigError:
    told = unknown_name(path, "plugin", name, plugins)
    if told.suggestion is not None or "${" in quoted(name):
        return told
    return ConfigError(
        path, f"{told.message}; write `plugins: {{{name}: {{}}}}`, with its settings if it needs any"
    )


def _check_prices(config: Config) -> Iterator[ConfigError]:
    for key in config.prices:
        here = join_key("prices", key)
        upstream, _, model = key.partition("/")
        if not upstream or not model:
            yield ConfigError(here, "a price is of UPSTREAM/MODEL; MODEL may be *")
        elif upstream not in config.upstreams:
            yield unknown_name(here, "upstream", upstream, config.upstreams)


def _check_listeners(config: Config) -> Iterator[ConfigError]:
    taken: dict[str, str] = {}
    if config.admin.address is not None and config.admin.address.port != 0:
        taken[str(config.admin.address)] = "admin.listen"
    for index, listener in _sound(config.listeners):
        here = f"listen[{index}]"
        if listener.port == 0 and listener.path is None:
            continue
        if other := taken.get(listener.address):
            yield ConfigError(
                f"{here}.address", f"{quoted(listener.address)} is the address of {other} already"
            )
        taken[listener.address] = here
    if not config.listeners:
        yield ConfigError("listen", "empty; there is nothing to take requests on")


def _check_distinct(routes: tuple[RouteConfig, ...]) -> Iterator[ConfigError]:
    names: dict[str, int] = {}
    matches: list[tuple[Match, str]] = []
    for index, route in _sound(routes):
        if route.name in names:
            yield ConfigError(
                f"routes[{index}].name",
                f"{quoted(route.name)} is the name of routes[{names[route.name]}] already",
            )
        names.setdefault(route.name, index)
        same = next((name for match, name in matches if match == route.match), None)
        if same is not None:
            yield ConfigError(
                f"routes[{index}].match",
                f"the same as that of route {quoted(same)}, so it would never be reached",
            )
        matches.append((route.match, route.name))


def _sound(items: Iterable[ItemT]) -> Iterator[tuple[int, ItemT]]:
    return ((index, item) for index, item in enumerate(items) if item is not BROKEN)
