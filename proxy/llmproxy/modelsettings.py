"""The section of the configuration that says where public model names lead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from llmproxy.elsewhere import IN_MODELS
from llmproxy.errors import ConfigError
from llmproxy.poolsettings import (
    PoolConfig,
    StrategyRef,
    TargetConfig,
    check_answering,
    split_upstream,
)
from llmproxy.sections import Section


class ModelConfig(Section, frozen=True):
    """Where a public model name leads: an upstream, which sees `model` or the public name, a pool, or another name.

    `targets` with their `strategy` are a pool of the model's own, which gets its name. In a name with a `*`, a `*` in
    `model` or `alias` stands for the same text.
    """

    upstream: str | None = None
    model: str | None = None
    pool: str | None = None
    targets: tuple[TargetConfig, ...] | None = None
    strategy: StrategyRef | None = None
    alias: str | None = None

    elsewhere: ClassVar[Mapping[str, str]] = IN_MODELS

    def __post_init__(self) -> None:
        if self.alias is None and self.upstream is None and self.pool is None and self.targets is None:
            message = (
                "missing; a model leads to an upstream, to a pool, to targets, or to another name by alias"
            )
            raise ConfigError("upstream", message)
        if self.alias is not None and (self.upstream, self.model, self.pool, self.targets) != (None,) * 4:
            message = "stands beside upstream, model, pool or targets; the name it leads to has its own"
            raise ConfigError("alias", message)
        if self.pool is not None and (self.upstream is not None or self.model is not None):
            raise ConfigError("pool", "stands beside upstream or model; the pool's targets have their own")
        if self.targets is None:
            if self.strategy is not None:
                raise ConfigError("strategy", "orders targets, and there are none; a pool has its own")
            return
        if (self.upstream, self.model, self.pool) != (None, None, None):
            raise ConfigError("targets", "stands beside upstream, model or pool; write one of them")
        check_answering(self.targets)

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`fast: groq/llama-3.3-70b-versatile` is another name for a model, `fast: [...]` a pool of its own."""
        if isinstance(tree, str):
            return {"alias": tree}
        return {"targets": tree} if isinstance(tree, list) else split_upstream(tree)


def own_pools(
    models: Mapping[str, ModelConfig], within: str = ""
) -> tuple[dict[str, ModelConfig], dict[str, PoolConfig]]:
    """Make pools of the targets that models have of their own: return the models that lead to them, and them.

    A pool has its model's name, behind that of the route `within` which the model is a model of. Its upstreams see the
    public name where no `model` is written, as they would without a pool; that of a wildcard is the caller's.
    """
    led, pools = dict(models), dict[str, PoolConfig]()
    for model, config in models.items():
        if isinstance(config, ModelConfig) and config.targets is not None:
            name = pool_name(model, within)
            targets = (
                config.targets if "*" in model else tuple(_named(each, model) for each in config.targets)
            )
            pools[name] = PoolConfig(targets=targets, strategy=config.strategy)
            led[model] = msgspec.structs.replace(config, pool=name, targets=None, strategy=None)
    return led, pools


def _named(target: TargetConfig, model: str) -> TargetConfig:
    if not isinstance(target, TargetConfig) or target.upstream is None or target.model is not None:
        return target
    return msgspec.structs.replace(target, model=model)


def pool_name(model: str, within: str = "") -> str:
    """Return what the pool is called that a model's own targets are."""
    return f"{within}.{model}" if within else model
