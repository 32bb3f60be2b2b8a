"""Configuration that plugins contribute: decoded and checked like the file, added to what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from llmproxy.crosschecks import cross_check
from llmproxy.decode import BROKEN, Decoder
from llmproxy.errors import ConfigError, ConfigErrors
from llmproxy.references import Interpolation, ReadFile
from llmproxy.settings import Config, ModelConfig, RouteConfig, Section, UpstreamConfig


class Fragment(Section):
    """What a plugin may contribute."""

    upstreams: dict[str, UpstreamConfig] = {}
    models: dict[str, ModelConfig] = {}
    routes: tuple[RouteConfig, ...] = ()


def merge_fragment(
    config: Config, tree: dict[str, Any], *, environ: Mapping[str, str], read_file: ReadFile
) -> Config:
    """Return the configuration with a fragment added; raise ConfigErrors for every mistake in it.

    A name that is there already is refused: the file is the truth.
    """
    interpolation = Interpolation(environ, read_file)
    decoder = Decoder()
    decoded = decoder.struct(Fragment, interpolation.replace(tree), "")
    errors = [*interpolation.errors, *decoder.errors]
    if decoded is BROKEN or errors:
        raise ConfigErrors(errors)
    fragment = cast("Fragment", decoded)
    taken = [
        ConfigError(f"{kind}.{name}", "is configured already")
        for kind, old, new in (
            ("upstreams", config.upstreams, fragment.upstreams),
            ("models", config.models, fragment.models),
        )
        for name in new
        if name in old
    ]
    if taken:
        raise ConfigErrors(taken)
    whole = msgspec.structs.replace(
        config,
        upstreams={**config.upstreams, **fragment.upstreams},
        models={**config.models, **fragment.models},
        routes=(*fragment.routes, *config.routes),
    )
    if mistakes := list(cross_check(whole)):
        raise ConfigErrors(mistakes)
    return whole
