"""Answers questions that mean the same from the cache below."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from llmproxy.plugin import KIN, BadRequest, Exchange, Plugin, Reply, Runtime, UpstreamRequest, hookimpl
from llmproxy_semantic.config import SemanticConfig, SemanticRoute
from llmproxy_semantic.matching import Matching

#: The request header field with which a caller wants only the answer to its own words.
FIELD: Final = b"x-llmproxy-semantic"


class SemanticPlugin(Plugin[SemanticConfig]):
    """Tells the cache below which questions mean the same."""

    Config = SemanticConfig
    RouteConfig = SemanticRoute
    after = ("access",)
    single = True

    _matching: Matching

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Be ready to be asked."""
        self._matching = Matching(runtime)
        yield

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        """Have the cache ask which questions mean the same, unless the caller wants the answer to its own words."""
        said = exchange.request.headers.index.get(FIELD)
        if said is None:
            exchange.state[KIN] = self._matching
        elif said.strip().lower() != b"off":
            message = "The header x-llmproxy-semantic can be: off."
            raise BadRequest("invalid_semantic_header", message)
        return None

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Take out what was said to this plugin alone."""
        if FIELD in exchange.request.headers.index:
            request.headers.remove(FIELD)
