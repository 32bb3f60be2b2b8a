"""Answers questions that mean the same from the cache below."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import (
    KIN,
    AdminRequest,
    BadRequest,
    ConfigError,
    Exchange,
    Plugin,
    Registry,
    Reply,
    Runtime,
    UpstreamRequest,
    hookimpl,
)
from llmproxy_semantic.config import POLICIES, Policy, SemanticConfig, SemanticRoute, VerifiedSettings
from llmproxy_semantic.embedders import open_embedding
from llmproxy_semantic.hearing import Hearing
from llmproxy_semantic.matching import Matching
from llmproxy_semantic.searching import open_rows
from llmproxy_semantic.thresholds import cuts_for
from llmproxy_semantic.trials import TRIAL

if TYPE_CHECKING:
    from llmproxy_semantic.likeness import Likeness
    from llmproxy_semantic.overseer import Overseer

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
        self._overseer: Overseer | None = None

    def check_options(self, options: SemanticRoute, parameters: Collection[str]) -> None:
        """Refuse a route that goes further than the plugin is ready for."""
        wanted, most = options.policy, self.config.policy
        if wanted is not None and POLICIES.index(wanted) > POLICIES.index(most):
            raise ConfigError("policy", f"is {wanted}, which plugins.{self.name}.policy must be too")

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Tell, and hear, of routes under verification."""
        registry.admin_route("GET", "/semantic", self._tell, permission="read")
        registry.admin_route("POST", "/semantic/reports", self._hear, permission="write")

    async def _tell(self, request: AdminRequest) -> Reply:
        return await self._hearing.told(request)

    async def _hear(self, request: AdminRequest) -> Reply:
        return await self._hearing.report(request)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Be ready to be asked; hold what embeds, and what is known of rows."""
        self._runtime = runtime
        async with AsyncExitStack() as held:
            if self.config.policy != "canonical":
                opened = _likeness(self.config, runtime)
                self._likeness, self._overseer = await held.enter_async_context(opened)
            self._hearing = Hearing(runtime, self._overseer)
            held.enter_context(self._hearing.open())
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

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        """Leave a request out that was to be compared, if its answer is not kept soon."""
        trial = exchange.state.get(TRIAL)
        if trial is not None:
            self._runtime.spawn(trial.left(), name="leave-out")

    def _matching_of(self, exchange: Exchange) -> Matching:
        name = exchange.route.name
        matching = self._routes.get(name)
        if matching is None:
            matching = self._routes[name] = self._new_matching(name, exchange.options(self))
        return matching

    def _new_matching(self, route: str, options: SemanticRoute) -> Matching:
        policy: Policy = options.policy or self.config.policy
        likeness = None if policy == "canonical" else self._likeness
        if policy != "verified" or likeness is None or self._overseer is None:
            return Matching(self._runtime, options, likeness)
        from llmproxy_semantic.verified import Verified  # noqa: PLC0415  # features: 50 ms

        return Matching(self._runtime, options, likeness, Verified(likeness, self._overseer, route, options))


@asynccontextmanager
async def _likeness(
    config: SemanticConfig, runtime: Runtime
) -> AsyncIterator[tuple[Likeness | None, Overseer | None]]:
    """Hold what is needed to compare questions by likeness; none where the embedder's vectors were never measured."""
    from llmproxy_semantic.likeness import Likeness  # noqa: PLC0415  # an extra, which few gateways need
    from llmproxy_semantic.wordpiece import is_word  # noqa: PLC0415  # likewise

    async with AsyncExitStack() as held:
        embedding = await held.enter_async_context(open_embedding(config, runtime))
        rows = await held.enter_async_context(open_rows(config, runtime, embedding.id))
        cuts = cuts_for(embedding.id, config.thresholds)
        if cuts is None:
            # Bounds of one model's vectors say nothing of another's.
            runtime.log.warning("semantic_not_calibrated", embedder=embedding.id)
            yield None, None
            return
        overseer = None
        if config.policy == "verified":
            from llmproxy_semantic.overseer import open_overseer  # noqa: PLC0415  # likewise

            settings = config.verified or VerifiedSettings()
            opened = open_overseer(runtime, settings, (*cuts, math.inf), embedding.id)
            overseer = await held.enter_async_context(opened)
        await asyncio.to_thread(is_word, "")  # reads its words, once
        yield Likeness(runtime, embedding, rows, cuts), overseer
