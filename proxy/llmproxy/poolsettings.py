"""Pools: the sections of the configuration that name several places for one purpose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from llmproxy.elsewhere import IN_POOLS
from llmproxy.errors import ConfigError
from llmproxy.sections import Section, name_with_options

#: Pools that may lie within one another.
DEEPEST: Final = 8

Weight = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class Capabilities(Section, frozen=True):
    """What a place's model can do, as far as it is known; a request that needs what it cannot is not sent there.

    `json` is any JSON as the answer, `schema` JSON by a schema. `window` is how many tokens a prompt and its answer may
    have together, `output` how many an answer.
    """

    tools: bool | None = None
    vision: bool | None = None
    audio: bool | None = None
    video: bool | None = None
    documents: bool | None = None
    json: bool | None = None
    schema: bool | None = None
    thinking: bool | None = None
    embeddings: bool | None = None
    streaming: bool | None = None
    window: Annotated[int, msgspec.Meta(ge=1)] | None = None
    output: Annotated[int, msgspec.Meta(ge=1)] | None = None

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`[tools, vision]` is all that it can but for `embeddings` and `streaming`, which a list leaves open."""
        if not isinstance(tree, list) or not all(isinstance(name, str) for name in tree):
            return tree
        return {**dict.fromkeys(LISTED, False), **dict.fromkeys(tree, True)}


#: What a list of capabilities that leaves them out says that a model cannot.
LISTED: Final = tuple(
    name
    for name in Capabilities.__struct_fields__
    if name not in {"embeddings", "streaming", "window", "output"}
)


class TargetConfig(Section, frozen=True):
    """One place of a pool: an upstream, which sees `model` or the name that was asked for, or another pool.

    `weight` is its share where the strategy counts shares; 0 leaves it for when nothing else is left. `when` is a
    condition in CEL that a request must meet. `after` names the kinds of failures after which alone this place is
    tried. `members` names the discovery plugin whose members stand in the upstream's place. `limit` bounds the
    requests in flight there, for each worker. `capabilities` say what its model can and cannot. `mirror` makes it no
    place to answer, but one that gets copies of that share of the requests. `name` is what explanations and metrics
    call it.
    """

    upstream: str | None = None
    model: str | None = None
    pool: str | None = None
    name: str | None = None
    weight: Weight = 1.0
    when: str | None = None
    after: tuple[str, ...] = ()
    members: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    capabilities: Capabilities | None = None
    mirror: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None

    def __post_init__(self) -> None:
        if (self.upstream is None) == (self.pool is None):
            message = "a target is an upstream or a pool; write one of them, as in openai/gpt-4o-mini"
            raise ConfigError("upstream", message + " or {pool: NAME}")
        if self.pool is not None:
            for key in ("model", "members", "limit", "mirror"):
                if getattr(self, key) is not None:
                    raise ConfigError(
                        key,
                        "stands beside pool; the targets of that pool have their own",
                    )
        if self.model is not None and "*" in self.model:
            raise ConfigError("model", 'holds a "*", which stands for nothing in a pool')

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`openai` is an upstream, `openai/gpt-4o-mini` an upstream and the model's name there, also as `upstream`.

        `after: window` is the only kind of failure.
        """
        if isinstance(tree, dict) and isinstance(tree.get("after"), str):
            tree = {**tree, "after": [tree["after"]]}
        return split_upstream({"upstream": tree} if isinstance(tree, str) else tree)


class StrategyRef(Section, frozen=True):
    """A strategy by its name, with its options."""

    name: str
    options: Any = {}

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`weighted` is a name; `{weighted: {sticky: true}}` a name with its options."""
        return name_with_options(tree, "a strategy's")


def split_upstream(tree: object) -> object:
    """Read `upstream: openai/gpt-4o-mini` as an upstream and the model's name there, where none is written beside it."""
    if not isinstance(tree, dict) or "model" in tree or not isinstance(tree.get("upstream"), str):
        return tree
    upstream, slash, model = tree["upstream"].partition("/")
    return {**tree, "upstream": upstream, "model": model} if slash else tree


def check_answering(targets: Sequence[object]) -> None:
    """Refuse a list of targets of which none answers; those that are broken were told before."""
    if not any(isinstance(target, TargetConfig) and target.mirror is None for target in targets):
        raise ConfigError("targets", "holds nothing that answers; a pool leads somewhere")


class PoolConfig(Section, frozen=True):
    """Places for one purpose, and the strategy that orders them for each request."""

    targets: tuple[TargetConfig, ...]
    strategy: StrategyRef | None = None

    elsewhere: ClassVar[Mapping[str, str]] = IN_POOLS

    def __post_init__(self) -> None:
        check_answering(self.targets)

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """A list is that of the targets, tried in their order."""
        return {"targets": tree} if isinstance(tree, list) else tree


def upstreams_of(name: str, pools: Mapping[str, PoolConfig], depth: int = 0) -> Iterator[str]:
    """Yield the names of all upstreams that a pool leads to; what is unknown, broken or a loop is passed over."""
    config = pools.get(name)
    if not isinstance(config, PoolConfig) or depth == DEEPEST:
        return
    for target in config.targets:
        if isinstance(target, TargetConfig):
            if target.upstream is not None:
                yield target.upstream
            elif target.pool is not None:
                yield from upstreams_of(target.pool, pools, depth + 1)


def depth_of(name: str, pools: Mapping[str, PoolConfig], depth: int = 1) -> int:
    """Return how many pools lie within one another there, itself counted; more than `DEEPEST` where it is a loop."""
    config = pools.get(name)
    if not isinstance(config, PoolConfig) or depth > DEEPEST:
        return depth
    inner = [target.pool for target in config.targets if isinstance(target, TargetConfig) and target.pool]
    return max((depth_of(each, pools, depth + 1) for each in inner), default=depth)
