"""Configuration: text in, a checked `Config` out, and back to text that shows no secret.

    tree = parse(text, format_of(name), name)
    config = decode(tree, environ=os.environ, read_file=lambda path: Path(path).read_text())

Nothing here touches a file, the environment or a clock: the caller brings them.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from llmproxy.crosschecks import cross_check
from llmproxy.decode import BROKEN, Decoder, decode_struct, fields_of, first_of_each
from llmproxy.errors import ConfigError, ConfigErrors
from llmproxy.formats import Format, Tree, format_of, parse
from llmproxy.keypaths import join_key
from llmproxy.modelsettings import own_pools
from llmproxy.providers.filling import fill_upstreams
from llmproxy.references import Interpolation, ReadFile, Resolved, Secret
from llmproxy.sections import Section
from llmproxy.settings import (
    Admin,
    AuthorizerRef,
    Config,
    Fragment,
    Listener,
    LogConfig,
    Match,
    ModelConfig,
    PluginConfig,
    PluginRef,
    PoolSettings,
    RouteConfig,
    ServerSettings,
    StoreConfig,
    StrategyRef,
    TimeoutOverrides,
    Timeouts,
    TlsConfig,
    UpstreamConfig,
    UpstreamTls,
)
from llmproxy.units import DURATION, SIZE, format_duration, format_size

__all__ = [
    "Admin",
    "Config",
    "Format",
    "Listener",
    "LogConfig",
    "Match",
    "ModelConfig",
    "PluginConfig",
    "PluginRef",
    "PoolSettings",
    "RouteConfig",
    "Section",
    "ServerSettings",
    "StoreConfig",
    "TimeoutOverrides",
    "Timeouts",
    "TlsConfig",
    "Tree",
    "UpstreamConfig",
    "UpstreamTls",
    "decode",
    "decode_struct",
    "default_config",
    "default_text",
    "effective",
    "format_of",
    "merge_fragment",
    "parse",
]

_DEFAULT: Final = """\
listen: 127.0.0.1:8080
admin: {listen: "127.0.0.1:0"}
plugins: {accesslog: {}, metrics: {}, access: {mode: open}, demo: {}, openai: {}}
pipeline: [accesslog, metrics, access]
models:
  demo/echo: {upstream: demo, model: echo}
routes:
  - name: models
    match: {path: /*}
    plugins: [demo]
upstreams:
  demo: {dialect: demo, base_url: "http://demo.invalid"}
"""


def decode(tree: Tree, *, environ: Mapping[str, str], read_file: ReadFile) -> Config:
    """Decode a plain tree, or raise ConfigErrors with every mistake in it.

    `read_file` returns the text of the file that a `${file:...}` names, or raises OSError.
    """
    interpolation = Interpolation(environ, read_file)
    decoder = Decoder()
    filled = fill_upstreams(interpolation.replace(tree), interpolation, environ)
    config = decoder.struct(Config, filled, "")
    errors = interpolation.errors + decoder.errors
    if config is not BROKEN:
        errors += cross_check(cast(Config, config))
    if errors:
        raise ConfigErrors(first_of_each(errors))
    return _with_own_pools(cast(Config, config))


def merge_fragment(config: Config, fragment: object, *, environ: Mapping[str, str]) -> Config:
    """Add what a plugin keeps elsewhere, from upstreams to routes; raise ConfigErrors as `decode` does.

    The fragment's routes come after those that are there, and are counted on in error paths. A name that is
    there already is refused, and so is a file reference: only the configuration file reads files.
    """
    interpolation = Interpolation(environ, _refuse_file)
    decoder = Decoder()
    filled = fill_upstreams(interpolation.replace(fragment), interpolation, environ)
    added = decoder.struct(Fragment, filled, "")
    errors = interpolation.errors + decoder.errors
    if errors:
        raise ConfigErrors(first_of_each(errors))
    more = cast(Fragment, added)
    merged = msgspec.structs.replace(
        config,
        upstreams={**config.upstreams, **more.upstreams},
        pools={**config.pools, **more.pools},
        models={**config.models, **more.models},
        prices={**config.prices, **more.prices},
        routes=(*config.routes, *more.routes),
    )
    errors = _taken("upstreams", more.upstreams, config.upstreams) + _taken(
        "models", more.models, config.models
    )
    errors += _taken("pools", more.pools, config.pools) + _taken("prices", more.prices, config.prices)
    errors += cross_check(merged)
    if errors:
        raise ConfigErrors(first_of_each(errors))
    return _with_own_pools(merged)


def _with_own_pools(config: Config) -> Config:
    """Make pools of the targets that models have of their own."""
    models, pools = own_pools(config.models)
    routes = []
    for route in config.routes:
        led, own = own_pools(route.models or {}, route.name)
        pools |= own
        routes.append(msgspec.structs.replace(route, models=led) if own else route)
    if not pools:
        return config
    return msgspec.structs.replace(
        config, models=models, pools={**config.pools, **pools}, routes=tuple(routes)
    )


def default_text(environ: Mapping[str, str]) -> str:
    """Return, as YAML, what `serve` runs without a file: the demo model, the providers whose keys are set."""
    from llmproxy.providers.table import named  # noqa: PLC0415  # a file that names no provider loads no table

    return _DEFAULT + "".join(f"  {provider.name}: {{}}\n" for provider in named(environ))


def default_config(environ: Mapping[str, str]) -> Config:
    """Return what `default_text` decodes to."""
    tree = parse(default_text(environ), "yaml", "built-in configuration")
    return decode(tree, environ=environ, read_file=str)  # no file is named


def effective(config: Config) -> dict[str, Any]:
    """Return the configuration with every default, as a tree that `decode` reads; references stay."""
    return cast(dict[str, Any], _plain(Config, config))


def _plain(type_: Any, value: Any) -> Any:
    if isinstance(value, AuthorizerRef | PluginRef | StrategyRef):
        return {value.name: _plain(Any, value.options)} if value.options != {} else _plain(Any, value.name)
    if isinstance(value, PluginConfig):
        own = {"use": value.use} | ({} if value.on_error is None else {"on_error": value.on_error})
        return _plain(Any, own | value.config)
    if isinstance(value, msgspec.Struct):
        fields = fields_of(type(value))
        return {field.encode_name: _plain(field.type, getattr(value, field.name)) for field in fields}
    if isinstance(value, dict):
        return {key: _plain(Any, item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(Any, item) for item in value]
    return _plain_scalar(type_, value)


def _plain_scalar(type_: Any, value: Any) -> Any:
    if isinstance(value, Secret | Resolved):
        return value.reference
    if isinstance(value, str):
        return value.replace("${", "$${")
    if value is None:
        return None
    metas = {
        meta
        for part in (type_, *getattr(type_, "__args__", ()))
        for meta in getattr(part, "__metadata__", ())
    }
    if DURATION in metas:
        return format_duration(value)
    return format_size(value) if SIZE in metas else value


def _taken(section: str, names: Iterable[str], there: Collection[str]) -> list[ConfigError]:
    message = "there is one of this name already"
    return [ConfigError(join_key(section, name), message) for name in names if name in there]


def _refuse_file(path: str) -> str:
    raise PermissionError(errno.EPERM, "only the configuration file may name files")
