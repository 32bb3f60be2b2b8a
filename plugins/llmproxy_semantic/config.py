"""The plugin's configuration, and what a route says of it."""

from __future__ import annotations

import math
from typing import Final, Literal, get_args

from llmproxy.plugin import ConfigError, Duration, PostgresUrl, Section
from llmproxy_semantic.judging import JudgeSettings
from llmproxy_semantic.thresholds import Thresholds

#: Which questions count as the same: those whose texts have one form; also those that are alike, by fixed bounds; or by
#: what is seen of each route's own requests. Each goes further than the one before.
Policy = Literal["canonical", "strict", "verified"]
POLICIES: Final[tuple[Policy, ...]] = get_args(Policy)
#: So many samples, over `delta`, are needed before anything is certified.
_LEAST: Final = 3


class UpstreamEmbedder(Section, frozen=True):
    """An upstream that serves `/embeddings` as OpenAI does, and the name of a model there."""

    upstream: str
    model: str


class VerifiedSettings(Section, frozen=True):
    """What a route under verification promises, and how it knows.

    At most `delta` of the requests that are looked for by likeness are answered wrongly by it. `coin` is the share of
    them that goes upstream to be compared, `resting` that share once enough is known; above `hit_limit` wrong ones of
    those answered likeness is given up. A `window` of samples counts. `judge` compares answers that differ.
    """

    delta: float = 0.01
    coin: float = 0.05
    resting: float = 0.01
    hit_limit: float = 1.0
    window: int = 3000
    judge: JudgeSettings | None = None

    def __post_init__(self) -> None:
        if not 0 < self.delta <= 0.5:
            raise ConfigError("delta", "is a share above 0 and at most 0.5")
        for name in ("coin", "resting", "hit_limit"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(name, "is a share above 0 and at most 1")
        least = math.ceil(_LEAST / self.delta)
        if self.window < least:
            raise ConfigError(
                "window", f"must be at least {least}, 3 / delta: of fewer samples nothing is certified"
            )

    @property
    def terms(self) -> tuple[float, ...]:
        """What was learnt by other terms is worth nothing."""
        return self.delta, self.coin, self.resting, self.hit_limit, self.window


class SemanticConfig(Section, frozen=True):
    """How far routes go that say nothing else; none may go further.

    `embedder` turns questions into vectors for routes whose policy compares them: `minilm`, which comes with the extra
    `semantic`, or a model of an upstream's. `search` is where what is near is searched: in the memory of each worker,
    by the server of the cache's store, which is Redis 8.2 or later then, or by the Postgres at
    `url`, with pgvector in its schema `public`, or a user who may create it. `thresholds` are what `llmproxy semantic
    calibrate` measured for an embedder; without them only `minilm` is compared by. `verified` is for the policy of that
    name.
    """

    policy: Policy = "canonical"
    embedder: Literal["minilm"] | UpstreamEmbedder = "minilm"
    search: Literal["worker", "store", "postgres"] = "worker"
    url: PostgresUrl | None = None
    thresholds: Thresholds | None = None
    verified: VerifiedSettings | None = None

    def __post_init__(self) -> None:
        if self.verified is not None and self.policy != "verified":
            raise ConfigError("verified", f"of no use with 'policy: {self.policy}'; write 'policy: verified'")
        if self.search == "postgres" and self.url is None:
            raise ConfigError("url", "says which Postgres searches; 'search: postgres' needs it")
        if self.search != "postgres" and self.url is not None:
            raise ConfigError(
                "url", f"of no use with 'search: {self.search}'; write 'search: postgres', or remove it"
            )


class SemanticRoute(Section, frozen=True):
    """How far a route goes, where that is less than the plugin's `policy`.

    `within` is how long a question may be looked for by likeness before the request goes on; `warmest` the highest
    temperature with which a question is.
    """

    policy: Policy | None = None
    within: Duration = 0.025
    warmest: float = 1.0
