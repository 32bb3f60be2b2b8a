"""The authorizer `aws`: signs each attempt, last of all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from llmproxy.plugin import (
    Body,
    BodyTooLarge,
    Clock,
    ConfigError,
    GatewayError,
    Granted,
    RawHeader,
    Reply,
    TokenCache,
    UpstreamConfig,
    UpstreamRequest,
)
from llmproxy_aws.places import place_of
from llmproxy_aws.sources import Source

if TYPE_CHECKING:
    from llmproxy_aws.config import AwsOptions
    from llmproxy_aws.signing import Signer

#: Bytes of a body that nobody read yet: all of it must be here to be signed.
MOST: Final = 64 * 1024 * 1024
#: Bytes whose digest takes so long that it is made aside: some 2 ms.
_LARGE: Final = 4 * 1024 * 1024
_OWNED: Final = frozenset(
    {b"authorization", b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256", b"date"}
)
#: What AWS calls credentials that it does not take (any more).
_REFUSALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "UnrecognizedClientException",
    }
)
_DEFAULT_SERVICE: Final = "bedrock"


class AwsAuthorizer:
    """Signs one upstream's requests."""

    def __init__(self, source: Source, clock: Clock, whose: str) -> None:
        self._source = source
        self._signers: TokenCache[Signer] = TokenCache(self._ask, clock, whose=whose)

    async def authorize(self, url: str, request: UpstreamRequest) -> None:
        """Sign a request: its method, path, query, host, type, `x-amz-` fields and body."""
        body = request.body if isinstance(request.body, bytes) else await _read(request)
        headers = request.headers
        for name in _OWNED.intersection(headers.index):
            headers.remove(name)
        host = urlsplit(url).netloc
        signed: list[RawHeader] = [(b"host", host.encode("ascii" if host.isascii() else "idna"))]
        for field in headers.raw:
            name = field[0].lower()
            if name == b"content-type" or name.startswith(b"x-amz-"):
                signed.append(field)
        signer = self._signers.at_hand() or await self._signers.get()
        if len(body) > _LARGE:
            added = await asyncio.to_thread(signer.sign, request.method, url, signed, body)
        else:
            added = signer.sign(request.method, url, signed, body)
        for name, value in added:
            headers.put(name.lower(), (name, value))

    async def renew(self, refused: Reply) -> bool:
        """Look for other credentials where AWS says that these are not taken; not where it grants them too little."""
        kind = refused.headers.get("x-amzn-errortype") or ""
        if kind.partition(":")[0].rpartition("#")[2] not in _REFUSALS:
            return False
        self._source.forget()
        return await self._signers.renew()

    async def _ask(self) -> Granted[Signer]:
        return await asyncio.to_thread(self._source.ask)


async def _read(request: UpstreamRequest) -> bytes:
    """Read a body that would stream through; it can be signed as a whole only."""
    assert isinstance(request.body, Body)
    try:
        request.body = await request.body.read(MOST)
    except BodyTooLarge:
        message = f"A body that is to be signed may have {MOST} bytes at most."
        raise GatewayError(413, "body_too_large", message) from None
    request.headers.remove(b"content-length")
    return request.body


def make_authorizer(
    config: UpstreamConfig, options: AwsOptions, environ: Mapping[str, str] = os.environ
) -> AwsAuthorizer:
    """Return an upstream's authorizer; nothing is asked for yet.

    Raises:
        ConfigError: what signs is not installed, or it is not known for which region.
    """
    if find_spec("botocore") is None:
        raise ConfigError("", "needs a package: pip install 'llmproxy-gateway[aws]'")
    host = urlsplit(config.base_url).hostname or ""
    told = place_of(host)
    region = options.region or told.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise ConfigError("region", "missing; neither the upstream's host nor AWS_REGION tells it")
    service = options.service or told.service or _DEFAULT_SERVICE
    return AwsAuthorizer(Source(options, service, region), Clock(), host)
