"""Lets callers in by key, and says who they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from llmproxy.plugin import (
    ANONYMOUS,
    Caller,
    Exchange,
    GatewayError,
    Plugin,
    Registry,
    Reply,
    Runtime,
    StartError,
    StateKey,
    hookimpl,
    ticket_holder,
)
from llmproxy_access.config import AccessConfig, AccessRoute
from llmproxy_access.credentials import PLACES, SeveralCredentials, find_key
from llmproxy_access.keys import KeyRing
from llmproxy_access.listeners import is_foreign, is_local
from llmproxy_access.permissions import Grant

if TYPE_CHECKING:
    from llmproxy_access.issuers import Issuers
    from llmproxy_access.keeping import DirectoryKeeper

#: What the caller of an exchange was granted, where that is less than everything.
_GRANT: StateKey[Grant] = StateKey("access.grant")


class AccessPlugin(Plugin[AccessConfig]):
    """API keys from the configuration and from a database, and tokens of issuers, each with a tenant."""

    Config = AccessConfig
    RouteConfig = AccessRoute
    # A browser's question whether a page may send a request carries no key.
    after = ("cors",)

    def __init__(self, name: str, config: AccessConfig) -> None:
        super().__init__(name, config)
        self._open = config.mode == "open"
        self._keys = KeyRing((key.digest, Caller(key.tenant, key.name, key.labels)) for key in config.keys)
        self._keeper: DirectoryKeeper | None = None
        self._issuers: Issuers | None = None

    @property
    def labels(self) -> frozenset[str]:
        """What callers may be told apart by."""
        return self.config.labels

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer what manages keys, where there is a database of them."""
        if self.config.database is not None:
            # What needs SQLite is imported where there is a database.
            from llmproxy_access.adminapi import KeyDesk  # noqa: PLC0415

            KeyDesk(self._kept, self.config.names).register(registry)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Refuse to be open where others can reach, and say aloud that it is open; keep a copy of the database."""
        if self._open:
            far = [address for address in runtime.listeners if not is_local(address)]
            if far:
                raise StartError(
                    f'plugin {self.name!r}: mode "open" needs loopback or Unix listeners, not {far[0]!r}; '
                    "configure keys"
                )
            runtime.log.warning("access_open", listeners=list(runtime.listeners))
        async with AsyncExitStack() as held:
            if (database := self.config.database) is not None:
                from llmproxy_access.keeping import open_keeper  # noqa: PLC0415

                opening = partial(open_keeper, database, runtime)
                self._keeper = await held.enter_async_context(runtime.shared(database, opening))
                self._refuse_twins(self._keeper.directory.names)
            if issuers := self.config.jwt:
                from llmproxy_access.issuers import open_issuers  # noqa: PLC0415  # likewise tokens

                opening_issuers = partial(open_issuers, issuers, runtime)
                self._issuers = await held.enter_async_context(runtime.shared(issuers, opening_issuers))
            yield

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Set the caller and what he may use, or refuse."""
        if self._open:
            _refuse_foreign_pages(exchange)
        else:
            # What a plugin asks for on behalf of a caller who was let in needs no key of its own.
            if exchange.parent is None or exchange.caller is ANONYMOUS:
                await self._let_in(exchange)
            elif (grant := exchange.parent.state.get(_GRANT)) is not None:
                _limit(exchange, grant)
            # The key was for the gateway alone: no upstream may see it.
            exchange.spent = PLACES
        tenants = exchange.options(self).tenants
        if tenants is not None and exchange.caller.tenant not in tenants:
            raise GatewayError(403, "tenant_not_allowed", "This key's tenant may not use this route.")
        return None

    async def _let_in(self, exchange: Exchange) -> None:
        try:
            key = find_key(exchange.request.headers)
        except SeveralCredentials:
            raise _refusal("The request holds different API keys; send one.") from None
        keeper = self._keeper
        if keeper is not None and keeper.is_late(exchange.started):
            await keeper.catch_up()
        if key is None:
            caller = await ticket_holder(exchange)
            if caller is None or not self._still_has(caller):
                raise _refusal("The request holds no API key; send it as Authorization: Bearer KEY.")
            exchange.caller = caller
            return
        grant = None if keeper is None else keeper.find(key, exchange.started)
        if grant is None and (caller := self._keys.find(key)) is not None:
            exchange.caller = caller
            return
        if grant is None and self._issuers is not None:
            grant = await self._issuers.find(key, None if keeper is None else keeper.directory)
        if grant is None:
            raise _refusal("The API key is not known here.")
        exchange.caller = grant.caller
        _limit(exchange, grant)

    def _still_has(self, caller: Caller) -> bool:
        """Whether the key is still good by which a caller was given what he shows now in its place."""
        keeper = self._keeper
        return caller.key in self.config.names or (keeper is not None and keeper.directory.holds(caller))

    def _refuse_twins(self, names: frozenset[str]) -> None:
        """Let no two keys be counted as one."""
        if twins := sorted(names & self.config.names):
            raise StartError(
                f"plugin {self.name!r}: the database has a key {twins[0]!r} too; rename the configuration's"
            )

    def _kept(self) -> DirectoryKeeper:
        if self._keeper is None:
            raise GatewayError(503, "not_ready", "The keys are not read yet.", retry_after=1)
        return self._keeper


def _limit(exchange: Exchange, grant: Grant) -> None:
    """Hold an exchange, and those that are made on its behalf, to what its caller may use."""
    if not grant.models and not grant.routes:
        return
    exchange.state[_GRANT] = grant
    exchange.may_ask = grant.model_check
    if not grant.may_pass(exchange.route.name):
        raise GatewayError(403, "route_not_allowed", "This key may not use this route.")


def _refuse_foreign_pages(exchange: Exchange) -> None:
    """Let no web page that somebody on this machine looks at spend the provider's money unseen."""
    if any(is_foreign(origin) for origin in exchange.request.headers.get_all("origin")):
        message = "Without keys, web pages of other machines are not served; configure keys."
        raise GatewayError(403, "foreign_origin", message)


def _refusal(message: str) -> GatewayError:
    # RFC 9110 §11.6.1 wants a challenge with every 401.
    return GatewayError(401, "invalid_api_key", message, headers=[("WWW-Authenticate", "Bearer")])
