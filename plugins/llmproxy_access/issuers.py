"""The issuers whose tokens are let in: their keys, fetched by one at a time; what was verified is remembered."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from llmproxy.plugin import ApiClient, GatewayError, RegistryAway, Runtime, StartError
from llmproxy_access.permissions import Grant, NameList
from llmproxy_access.tokens import UnknownKey, Verified, read_head, refusal, verify
from llmproxy_access.tokensettings import IssuerConfig, is_trusted

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

    from llmproxy_access.directory import Directory

#: Tokens that are remembered.
REMEMBERED: Final = 4096
#: Seconds before an issuer is asked again after it failed, or for a key that it did not have: anybody may name one.
PATIENCE: Final = 10.0
_DISCOVERY: Final = "/.well-known/openid-configuration"

#: Gets JSON from a URL.
Fetch = Callable[[str], Awaitable[Any]]


class IssuerKeys:
    """One issuer's public keys."""

    def __init__(self, config: IssuerConfig, fetch: Fetch, runtime: Runtime) -> None:
        self.config = config
        self.keys: KeySet | None = None
        self._fetch = fetch
        self._clock = runtime.clock
        self._log = runtime.log
        self._told: Any = None
        self._known_at = self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def at_hand(self) -> KeySet:
        """Return the keys, asked for if there are none.

        Raises:
            GatewayError: the issuer has not answered, or not for long (503).
        """
        if self.keys is None or self._clock.now() - self._known_at > self.config.stale:
            await self.refresh()
        if self.keys is None or self._clock.now() - self._known_at > self.config.stale:
            raise GatewayError(
                503, "tokens_unavailable", "Tokens cannot be checked now.", retry_after=PATIENCE
            )
        return self.keys

    async def refresh(self) -> None:
        """Ask the issuer, unless somebody just did; whoever comes meanwhile waits for the same answer."""
        async with self._asking:
            now = self._clock.now()
            if now - self._asked_at < PATIENCE:
                return
            self._asked_at = now
            try:
                self._take(await self._ask())
            except Exception as fault:  # what an issuer sends is not to be trusted to be anything
                why = str(fault) if isinstance(fault, RegistryAway) else type(fault).__name__
                self._log.warning("token_issuer_away", issuer=self.config.name, why=why)
            except BaseException:
                # Who was given up while he asked has not asked for the others.
                self._asked_at = float("-inf")
                raise

    async def watch(self) -> None:
        """Ask again and again, for ever."""
        while True:
            await self.refresh()
            known = self._clock.now() - self._known_at < self.config.refresh
            await self._clock.sleep(self.config.refresh if known else PATIENCE)

    async def _ask(self) -> Any:
        url = self.config.jwks
        if url is None:
            told = await self._fetch(self.config.issuer.rstrip("/") + _DISCOVERY)
            url = told["jwks_uri"]
            if told["issuer"] != self.config.issuer or not is_trusted(url):
                raise ValueError("the issuer's document is of another, or sends elsewhere")
        return await self._fetch(url)

    def _take(self, told: Any) -> None:
        from joserfc.jwk import KeySet  # noqa: PLC0415  # large; few gateways take tokens

        if told != self._told:
            self.keys, self._told = KeySet.import_key_set(told), told
        self._known_at = self._clock.now()


class _Remembered(NamedTuple):
    """A token that held under these keys, and what it grants by this directory."""

    verified: Verified
    issuer: IssuerKeys
    keys: KeySet
    directory: Directory | None
    grant: Grant


class Issuers:
    """Lets in who has a token of one of them. Tokens are remembered by the digest of all of their bytes."""

    def __init__(self, issuers: Sequence[IssuerKeys], wall: Callable[[], float]) -> None:
        self._by_name = {each.config.issuer: each for each in issuers}
        self._wall = wall
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()

    async def find(self, token: bytes, directory: Directory | None) -> Grant | None:
        """Return what a token grants; None for what is no token of theirs.

        Raises:
            GatewayError: it does not hold (401), says too little (403), or cannot be checked (503).
        """
        digest = sha256(token).digest()
        known = self._remembered.get(digest)
        if known is not None and known.keys is await known.issuer.at_hand():
            # Others may have forgotten it while this waited.
            if known.verified.expires + known.issuer.config.leeway <= self._wall():
                self._remembered.pop(digest, None)
                raise refusal("The token has expired.", code="expired_token")
            if known.directory is directory:
                self._remember(digest, known)
                return known.grant
        head = read_head(token)
        issuer = None if head is None else self._by_name.get(head.issuer)
        if head is None or issuer is None:
            return None
        if head.algorithm not in issuer.config.algorithms:
            raise refusal("The token is signed in a way that is not taken here.")
        keys, verified = await _verified(token, issuer, self._wall)
        grant = _grant(verified, issuer.config, directory)
        self._remember(digest, _Remembered(verified, issuer, keys, directory, grant))
        return grant

    def _remember(self, digest: bytes, known: _Remembered) -> None:
        self._remembered[digest] = known
        self._remembered.move_to_end(digest)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)


async def _verified(token: bytes, issuer: IssuerKeys, wall: Callable[[], float]) -> tuple[KeySet, Verified]:
    """Verify a token; where its key is new, once more with the keys that the issuer has now."""
    keys = await issuer.at_hand()
    try:
        return keys, verify(token, keys, issuer.config, wall())
    except UnknownKey:
        await issuer.refresh()
    keys = await issuer.at_hand()
    try:
        return keys, verify(token, keys, issuer.config, wall())
    except UnknownKey:
        raise refusal("The token is signed with a key that its issuer does not have.") from None


def _grant(verified: Verified, config: IssuerConfig, directory: Directory | None) -> Grant:
    models, routes = ((), ()) if directory is None else directory.limits(verified.caller)
    if config.models is not None:
        models = (NameList(config.models), *models)
    if config.routes is not None:
        routes = (NameList(config.routes), *routes)
    return Grant(verified.caller, models, routes, verified.expires)


@asynccontextmanager
async def open_issuers(configs: Sequence[IssuerConfig], runtime: Runtime) -> AsyncIterator[Issuers]:
    """Hold the issuers and their keys.

    Raises:
        StartError: what checks signatures is not installed.
    """
    try:
        import joserfc  # noqa: F401, PLC0415
    except ImportError:
        raise StartError("tokens need a package: pip install 'llmproxy-gateway[jwt]'") from None
    kept = [IssuerKeys(config, _fetcher(config), runtime) for config in configs]
    async with asyncio.TaskGroup() as group:
        watching = [group.create_task(each.watch(), name="access:issuer") for each in kept]
        try:
            yield Issuers(kept, runtime.clock.wall)
        finally:
            for task in watching:
                task.cancel()


def _fetcher(config: IssuerConfig) -> Fetch:
    async def fetch(url: str) -> Any:
        parts = urlsplit(url)
        client = ApiClient(f"{parts.scheme}://{parts.netloc}", tls=config.tls)
        try:
            _, told = await client.get(parts._replace(scheme="", netloc="").geturl(), config.timeout)
        finally:
            client.close()
        return told

    return fetch
