"""The authorizer `google`: puts a token on each attempt."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmproxy.plugin import Clock, ConfigError, Granted, Reply, TokenCache, UpstreamConfig, UpstreamRequest
from llmproxy_google.sources import Fields, Source

if TYPE_CHECKING:
    from llmproxy_google.config import GoogleOptions


class GoogleAuthorizer:
    """Authorizes one upstream's requests."""

    def __init__(self, source: Source, clock: Clock, whose: str) -> None:
        self._source = source
        self._tokens: TokenCache[Fields] = TokenCache(self._ask, clock, whose=whose)

    async def authorize(self, url: str, request: UpstreamRequest) -> None:
        """Put the token there, and the project that pays if there is one."""
        fields = self._tokens.at_hand() or await self._tokens.get()
        headers = request.headers
        headers.remove(b"x-goog-api-key")
        for field in fields:
            headers.put(field[0].lower(), field)

    async def renew(self, refused: Reply) -> bool:
        """Ask for another token where this one is not taken; not where it is allowed too little."""
        return refused.status == 401 and await self._tokens.renew()

    async def _ask(self) -> Granted[Fields]:
        return await asyncio.to_thread(self._source.ask)


def make_authorizer(config: UpstreamConfig, options: GoogleOptions) -> GoogleAuthorizer:
    """Return an upstream's authorizer; nothing is asked for yet.

    Raises:
        ConfigError: what gets tokens is not installed.
    """
    if find_spec("google") is None or find_spec("google.auth") is None or find_spec("requests") is None:
        raise ConfigError("", "needs a package: pip install 'llmproxy-gateway[google]'")
    return GoogleAuthorizer(Source(options), Clock(), urlsplit(config.base_url).hostname or "")
