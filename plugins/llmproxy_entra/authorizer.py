"""The authorizer `entra`: a token of Entra ID on each attempt, asked for anew before its end."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
from llmproxy_entra.config import EntraOptions
from llmproxy_entra.sources import Question, granted, question_of

_WITHIN: Final = 10.0
#: What callers and configurations may have sent the same under.
_OWNED: Final = (b"api-key", b"x-api-key")


class EntraAuthorizer:
    """Gives one upstream's requests their token."""

    def __init__(self, question: Question, clock: Clock, whose: str) -> None:
        self._question = question
        self._clock = clock
        self._client: ApiClient | None = None
        self._tokens: TokenCache[bytes] = TokenCache(self._ask, clock, whose=whose)

    async def authorize(self, url: str, request: UpstreamRequest) -> None:
        """Put the token on a request, in place of any key."""
        token = self._tokens.at_hand() or await self._tokens.get()
        for name in _OWNED:
            request.headers.remove(name)
        request.headers.put(b"authorization", (b"Authorization", b"Bearer " + token))

    async def renew(self, refused: Reply) -> bool:
        """Ask for another token where this one is not taken; a 403 is of rights, which another would not have either."""
        return refused.status == 401 and await self._tokens.renew()

    async def _ask(self) -> Granted[bytes]:
        question = self._question
        if self._client is None:
            self._client = ApiClient(question.base_url, proxy=None if question.near else "env")
        try:
            if question.form is None:
                _, told = await self._client.get(question.target, _WITHIN, question.headers)
                status = 200
            else:
                body = question.body()
                status, told = await self._client.post(question.target, _WITHIN, question.headers, body)
        except RegistryAway as fault:
            raise CredentialsAway(str(fault)) from None
        return granted(status, told, self._clock.wall())


def make_authorizer(
    config: UpstreamConfig, options: EntraOptions, environ: Mapping[str, str] = os.environ
) -> EntraAuthorizer:
    """Return an upstream's authorizer; nothing is asked for yet.

    Raises:
        ConfigError: it is not known who asks.
    """
    host = urlsplit(config.base_url).hostname or ""
    return EntraAuthorizer(question_of(options, environ), Clock(), host)
