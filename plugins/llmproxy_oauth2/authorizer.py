"""The authorizer `oauth2`: puts a token on each attempt."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from llmproxy.plugin import (
    ApiClient,
    Clock,
    CredentialsAway,
    Granted,
    RegistryAway,
    Reply,
    TokenCache,
    UpstreamConfig,
    UpstreamRequest,
)
from llmproxy_oauth2.asking import granted, question_of
from llmproxy_oauth2.config import OAuth2Options

_WITHIN: Final = 10.0


class OAuth2Authorizer:
    """Authorizes one upstream's requests."""

    def __init__(self, options: OAuth2Options, clock: Clock, whose: str) -> None:
        self._options = options
        self._client: ApiClient | None = None
        self._tokens: TokenCache[bytes] = TokenCache(self._ask, clock, whose=whose)

    async def authorize(self, url: str, request: UpstreamRequest) -> None:
        """Put the token on a request."""
        token = self._tokens.at_hand() or await self._tokens.get()
        request.headers.put(b"authorization", (b"Authorization", b"Bearer " + token))

    async def renew(self, refused: Reply) -> bool:
        """Ask for another token where this one is not taken; not where it is allowed too little."""
        return refused.status == 401 and await self._tokens.renew()

    async def _ask(self) -> Granted[bytes]:
        options = self._options
        url = urlsplit(options.token_url)
        if self._client is None:
            self._client = ApiClient(f"{url.scheme}://{url.netloc}", tls=options.tls)
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        try:
            status, told = await self._client.post(target, _WITHIN, *question_of(options))
        except RegistryAway as fault:
            raise CredentialsAway(str(fault)) from None
        return granted(status, told)


def make_authorizer(config: UpstreamConfig, options: OAuth2Options) -> OAuth2Authorizer:
    """Return an upstream's authorizer; nothing is asked for yet."""
    return OAuth2Authorizer(options, Clock(), urlsplit(config.base_url).hostname or "")
