"""Lets callers in by key, and says who they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmproxy.plugin import (
    ANONYMOUS,
    Caller,
    Exchange,
    GatewayError,
    Plugin,
    Reply,
    Runtime,
    StartError,
    hookimpl,
)
from llmproxy_access.config import AccessConfig, AccessRoute
from llmproxy_access.credentials import PLACES, SeveralCredentials, find_key
from llmproxy_access.keys import KeyRing
from llmproxy_access.listeners import is_foreign, is_local


class AccessPlugin(Plugin[AccessConfig]):
    """API keys from the configuration, each with a tenant."""

    Config = AccessConfig
    RouteConfig = AccessRoute
    # A browser's question whether a page may send a request carries no key.
    after = ("cors",)

    def __init__(self, name: str, config: AccessConfig) -> None:
        super().__init__(name, config)
        self._open = config.mode == "open"
        self._keys = KeyRing((key.digest, Caller(key.tenant, key.name)) for key in config.keys)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Refuse to be open where others can reach; say aloud that it is open."""
        if self._open:
            far = [address for address in runtime.listeners if not is_local(address)]
            if far:
                raise StartError(
                    f'plugin {self.name!r}: mode "open" needs loopback or Unix listeners, not {far[0]!r}; '
                    "configure keys"
                )
            runtime.log.warning("access_open", listeners=list(runtime.listeners))
        yield

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Set the caller, or refuse."""
        if self._open:
            _refuse_foreign_pages(exchange)
        else:
            # What a plugin asks for on behalf of a caller who was let in needs no key of its own.
            if exchange.parent is None or exchange.caller is ANONYMOUS:
                exchange.caller = self._identify(exchange)
            # The key was for the gateway alone: no upstream may see it.
            exchange.spent = PLACES
        tenants = exchange.options(self).tenants
        if tenants is not None and exchange.caller.tenant not in tenants:
            raise GatewayError(403, "tenant_not_allowed", "This key's tenant may not use this route.")
        return None

    def _identify(self, exchange: Exchange) -> Caller:
        try:
            key = find_key(exchange.request.headers)
        except SeveralCredentials:
            raise _refusal("The request holds different API keys; send one.") from None
        if key is None:
            raise _refusal("The request holds no API key; send it as Authorization: Bearer KEY.")
        caller = self._keys.find(key)
        if caller is None:
            raise _refusal("The API key is not known here.")
        return caller


def _refuse_foreign_pages(exchange: Exchange) -> None:
    """Let no web page that somebody on this machine looks at spend the provider's money unseen."""
    if any(is_foreign(origin) for origin in exchange.request.headers.get_all("origin")):
        message = "Without keys, web pages of other machines are not served; configure keys."
        raise GatewayError(403, "foreign_origin", message)


def _refusal(message: str) -> GatewayError:
    # RFC 9110 §11.6.1 wants a challenge with every 401.
    return GatewayError(401, "invalid_api_key", message, headers=[("WWW-Authenticate", "Bearer")])
