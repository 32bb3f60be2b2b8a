"""The plugin's configuration, and what a route says of it."""

from __future__ import annotations

from typing import Literal

from llmproxy.plugin import ConfigError, Duration, PostgresUrl, Section
from llmproxy_semantic.thresholds import Thresholds

#: Which questions count as the same: those whose texts have one form; also those that are alike, by fixed bounds.
Policy = Literal["canonical", "strict"]


class UpstreamEmbedder(Section, frozen=True):
    """An upstream that serves `/embeddings` as OpenAI does, and the name of a model there."""

    upstream: str
    model: str


class SemanticConfig(Section, frozen=True):
    """How far routes go that say nothing else; none may go further.

    `embedder` turns questions into vectors for routes whose policy compares them: `minilm`, which comes with the extra
    `semantic`, or a model of an upstream's. `search` is where what is near is searched: in the memory of each worker,
    by the server of the cache's store, which is Redis 8.2 or later then, or by the Postgres at
    `url`, with pgvector in its schema `public`, or a user who may create it. `thresholds` are what `llmproxy semantic
    calibrate` measured for an embedder; without them only `minilm` is compared by.
    """

    policy: Policy = "canonical"
    embedder: Literal["minilm"] | UpstreamEmbedder = "minilm"
    search: Literal["worker", "store", "postgres"] = "worker"
    url: PostgresUrl | None = None
    thresholds: Thresholds | None = None

    def __post_init__(self) -> None:
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
