"""Answers questions that mean the same from the cache below."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import (
    KIN,
    BadRequest,
    ConfigError,
    Exchange,
    Plugin,
    Reply,
    Runtime,
    UpstreamRequest,
    hookimpl,
)
from llmproxy_semantic.config import SemanticConfig, SemanticRoute
from llmproxy_semantic.embedders import open_embedding
from llmproxy_semantic.matching import Matching
from llmproxy_semantic.searching import open_rows
from llmproxy_semantic.thresholds import cuts_for

if TYPE_CHECKING:
    from llmproxy_semantic.likeness import Likeness

#: The request header field with which a caller wants only the answer to its own words.
FIELD: Final = b"x-llmproxy-semantic"


class SemanticPlugin(Plugin[SemanticConfig]):
    """Tells the cache below which questions mean the same."""

    Config = SemanticConfig
    RouteConfig = SemanticRoute
    after = ("access",)
    single = True

    def __init__(self, name: str, config: SemanticConfig) -> None:
        super().__init__(name, config)
        self._routes: dict[str, Matching] = {}
        self._likeness: Likeness | None = None

    def check_options(self, options: SemanticRoute, parameters: Collection[str]) -> None:
        """Refuse a route that goes further than the plugin is ready for."""
        if options.policy == "strict" != self.config.policy:
            raise ConfigError("policy", f"is strict, which plugins.{self.name}.policy must be too")

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Be ready to be asked; hold what embeds, and what is known of rows."""
        self._runtime = runtime
        async with AsyncExitStack() as held:
            if self.config.policy != "canonical":
                self._likeness = await held.enter_async_context(_likeness(self.config, runtime))
            yield

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        """Have the cache ask which questions mean the same, unless the caller wants the answer to its own words."""
        said = exchange.request.headers.index.get(FIELD)
        if said is None:
            exchange.state[KIN] = self._matching_of(exchange)
        elif said.strip().lower() != b"off":
            message = "The header x-llmproxy-semantic can be: off."
            raise BadRequest("invalid_semantic_header", message)
        return None

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Take out what was said to this plugin alone."""
        if FIELD in exchange.request.headers.index:
            request.headers.remove(FIELD)

    def _matching_of(self, exchange: Exchange) -> Matching:
        name = exchange.route.name
        matching = self._routes.get(name)
        if matching is None:
            options = exchange.options(self)
            alike = (options.policy or self.config.policy) != "canonical"
            matching = Matching(self._runtime, options, self._likeness if alike else None)
            self._routes[name] = matching
        return matching


@asynccontextmanager
async def _likeness(config: SemanticConfig, runtime: Runtime) -> AsyncIterator[Likeness | None]:
    """Hold what is needed to compare questions by likeness; None where the embedder's vectors were never measured."""
    from llmproxy_semantic.likeness import Likeness  # noqa: PLC0415  # an extra, which few gateways need

    async with open_embedding(config, runtime) as embedding, open_rows(config, runtime, embedding.id) as rows:
        cuts = cuts_for(embedding.id, config.thresholds)
        if cuts is None:
            # Bounds of one model's vectors say nothing of another's.
            runtime.log.warning("semantic_not_calibrated", embedder=embedding.id)
        yield None if cuts is None else Likeness(runtime, embedding, rows, cuts)
