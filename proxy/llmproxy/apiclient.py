"""A plugin's own calls to an HTTP API that its configuration names, over connections as upstreams have them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import orjson

from llmproxy.body import Body, BodyTooLarge
from llmproxy.discovery import BadRegistry, RegistryAway
from llmproxy.errors import GatewayError
from llmproxy.messages import Headers, RawHeader, Reply, UpstreamRequest

if TYPE_CHECKING:
    from llmproxy.upstreamsettings import Timeouts, UpstreamTls

#: Bytes of an answer.
LARGEST: Final = 32 * 1024 * 1024

_PLAIN: Final = (
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"llmproxy"),
)


class ApiClient:
    """Asks one HTTP API; `base_url` may have a path, TLS is as for an upstream, proxies are the environment's."""

    def __init__(
        self,
        base_url: str,
        *,
        tls: UpstreamTls | None = None,
        proxy: str | None = "env",
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        # Plugins import this module; few of them need the rest.
        from llmproxy.upstream import Upstream  # noqa: PLC0415
        from llmproxy.upstreamsettings import UpstreamConfig  # noqa: PLC0415

        config = UpstreamConfig(base_url=base_url, tls=tls, proxy=proxy)
        self._upstream = Upstream("api", config, environ=environ)

    def __repr__(self) -> str:
        return f"<ApiClient {self.host!r}>"

    @property
    def host(self) -> str:
        """Whom it asks, for messages."""
        dialer = self._upstream.dialer
        return f"{dialer.host}:{dialer.port}"

    async def get(self, target: str, timeout: float, headers: Iterable[RawHeader] = ()) -> tuple[Reply, Any]:
        """Ask for JSON; return the reply and what it holds.

        Raises:
            RegistryAway: there is no answer, or it is a refusal.
        """
        async with self.stream(target, timeout, headers, idle=timeout) as reply:
            data = await self._read(reply)
        try:
            return reply, orjson.loads(data)
        except orjson.JSONDecodeError:
            raise BadRegistry(f"{self.host} sends what is not JSON") from None

    async def post(
        self, target: str, timeout: float, headers: Iterable[RawHeader], body: bytes
    ) -> tuple[int, Any]:
        """Send a body; return the status and what JSON the answer holds, None where it is none.

        Raises:
            RegistryAway: there is no answer.
        """
        request = UpstreamRequest("POST", target, Headers([*_PLAIN, *headers]), body)
        reply = await self._send(request, timeout, timeout)
        data = await self._read(reply)
        try:
            return reply.status, orjson.loads(data)
        except orjson.JSONDecodeError:
            return reply.status, None

    async def _read(self, reply: Reply) -> bytes:
        try:
            return await reply.body.read(LARGEST) if isinstance(reply.body, Body) else reply.body
        except BodyTooLarge:
            raise BadRegistry(f"{self.host} sends more than {LARGEST} bytes") from None
        except (GatewayError, OSError):
            raise RegistryAway(f"{self.host} broke off its answer") from None

    @asynccontextmanager
    async def stream(
        self, target: str, timeout: float, headers: Iterable[RawHeader] = (), *, idle: float
    ) -> AsyncIterator[Reply]:
        """Ask, and hold the reply as long as the block lasts; `timeout` is for its head, `idle` for a pause in its body.

        Raises:
            RegistryAway: there is no answer, or it is a refusal.
        """
        request = UpstreamRequest("GET", target, Headers([*_PLAIN, *headers]), b"")
        reply = await self._send(request, timeout, idle)
        try:
            if reply.status != 200:
                raise Refused(self.host, reply.status)
            yield reply
        finally:
            if isinstance(reply.body, Body):
                reply.body.abandon()

    async def _send(self, request: UpstreamRequest, timeout: float, idle: float) -> Reply:
        try:
            return await self._upstream.send(request, self._timeouts(timeout, idle), float("inf"))
        except (GatewayError, OSError) as fault:
            why = fault.message if isinstance(fault, GatewayError) else "It cannot be reached."
            raise RegistryAway(f"{self.host}: {why}") from None

    def _timeouts(self, timeout: float, idle: float) -> Timeouts:
        from llmproxy.upstreamsettings import Timeouts  # noqa: PLC0415  # as above

        most = 365 * 86400.0
        return Timeouts(connect=min(timeout, 5.0), headers=timeout, first_token=most, idle=idle, total=most)

    def close(self) -> None:
        """Close its connections."""
        self._upstream.close()


class Refused(RegistryAway):
    """The API answers with another status than 200."""

    def __init__(self, host: str, status: int) -> None:
        super().__init__(f"{host} answers {status}")
        self.status = status
