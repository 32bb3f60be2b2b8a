"""One configured upstream: wire requests in, replies out."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmproxy.body import Body
from llmproxy.dialing import Dialer
from llmproxy.errors import UpstreamError, UpstreamTimeout
from llmproxy.masking import secrets_among
from llmproxy.messages import Headers, RawHeader, Reply, Spellings, UpstreamRequest
from llmproxy.pool import Pool

if TYPE_CHECKING:
    from llmproxy.config import Timeouts, UpstreamConfig
    from llmproxy.connection import UpstreamConnection
    from llmproxy.keyring import Keyring
    from llmproxy.replyreader import Hearer

#: Methods that may be sent again when a kept-alive connection turned out to be dead (RFC 9110 §9.2.2).
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

#: Methods whose empty body is not announced by a length (RFC 9110 §8.6).
BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})


class Upstream:
    """An API that requests are sent to.

    Args:
        name: what the configuration calls it.
        config: its section.
        credentials: header fields of every request, besides those that are configured.
        environ: where proxies are looked up.
        keyed: the credentials of each key, where there are several: a request is sent with one of them.
        keys: whose turn it is among them.
    """

    def __init__(
        self,
        name: str,
        config: UpstreamConfig,
        credentials: Sequence[RawHeader] | None = None,
        environ: Mapping[str, str] = os.environ,
        keyed: Sequence[Sequence[RawHeader]] = (),
        keys: Keyring | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self.keys = keys
        #: What no error of the provider's may tell callers.
        self.secrets = secrets_among([key.reveal() for key in config.api_key])
        url = urlsplit(config.base_url)
        self._origin = f"{url.scheme}://{url.netloc}"
        # Documents and environments write base URLs with and without slashes where they are joined.
        self.base_path = re.sub("//+", "/", url.path).rstrip("/")
        self.dialer = Dialer(config, environ)
        self.pool = Pool(self.dialer.open, config.pool)
        host = (b"Host", url.netloc.encode("idna" if not url.netloc.isascii() else "ascii"))
        fixed = [*(credentials or ()), *Headers.of(config.headers).raw]
        root = ""
        if self.dialer.absolute_form:
            root = self._origin
            authorization = self.dialer.proxy_authorization()
            if authorization:
                fixed.append((b"Proxy-Authorization", authorization))
        #: The header fields of every request, credentials included, for each key.
        self.fixed = tuple((host, *own, *fixed) for own in keyed or [()])
        self._root, self._prefix = root, f"{root}{self.base_path}"
        self._fixed = tuple(b"".join(b"%b: %b\r\n" % pair for pair in each) for each in self.fixed)
        #: Names that the fixed headers own: a caller's field of that name is left out.
        self.owned = frozenset(name.lower() for each in self.fixed for name, _ in each)
        self._passes = Spellings(self.owned)

    def __repr__(self) -> str:
        return f"<Upstream {self.name!r} {self.pool!r}>"

    def member(self, name: str, host: str, port: int) -> Upstream:
        """Return this upstream at another address: all the same but its connections."""
        other = copy(self)
        other.name = name
        other.dialer = self.dialer.towards(host, port)
        other.pool = Pool(other.dialer.open, self.config.pool)
        return other

    def url_of(self, request: UpstreamRequest) -> str:
        """Return the whole URL that a request goes to."""
        return f"{self._origin}{'' if request.rooted else self.base_path}{request.target}"

    def head(self, request: UpstreamRequest, length: int | None) -> bytes:
        """Return the request line and header; `length` None means chunked, -1 no body."""
        passes = self._passes
        fields = [b"%b: %b\r\n" % pair for pair in request.headers.raw if passes[pair[0]]]
        if length is None:
            framing = b"Transfer-Encoding: chunked\r\n\r\n"
        else:
            framing = b"\r\n" if length < 0 else b"Content-Length: %d\r\n\r\n" % length
        prefix = self._root if request.rooted else self._prefix
        target = f"{request.method} {prefix}{request.target} HTTP/1.1\r\n".encode("latin-1")
        return b"".join([target, self._fixed[request.key], *fields, framing])

    async def send(
        self, request: UpstreamRequest, timeouts: Timeouts, expires: float, hearer: Hearer | None = None
    ) -> Reply:
        """Send one request and return its reply once the head is here.

        `expires` is the exchange's deadline on the loop's clock; `hearer` is told of interim replies.
        Cancelling closes the connection at once.

        Raises:
            UpstreamError: it failed; `phase` and `sent` tell how far it came.
            GatewayError: 503, too many requests wait for a connection.
        """
        body = request.body
        if isinstance(body, Body):
            return await self._send_streamed(request, body, timeouts, expires, hearer)
        method = request.method
        data = self.head(request, len(body) if body or method not in BODILESS else -1) + body
        while True:
            connection = self.pool.idle_connection() or await self._open(timeouts, expires)
            reused = connection.reused
            connection.hearer = hearer
            request.sent = True
            waiter = connection.send(data, timeouts, expires, head_only=method == "HEAD")
            if expires < self.pool.sweeps_at:
                self.pool.watch(connection)
            try:
                return await waiter
            except asyncio.CancelledError:
                connection.give_up(waiter)
                raise
            except UpstreamError as fault:
                # A kept-alive connection that the upstream closed meanwhile is no answer at all.
                stale = reused and connection.silent and fault.code == "upstream_reset"
                if not stale or method not in IDEMPOTENT:
                    raise

    async def _open(self, timeouts: Timeouts, expires: float) -> UpstreamConnection:
        now = asyncio.get_running_loop().time()
        until = now + timeouts.connect
        try:
            async with asyncio.timeout_at(min(until, expires)):
                return await self.pool.acquire()
        except TimeoutError:
            phase, seconds = (
                ("connect", timeouts.connect) if until < expires else ("total", max(0.0, expires - now))
            )
            raise UpstreamTimeout(phase, seconds, sent=False) from None

    async def _send_streamed(
        self,
        request: UpstreamRequest,
        body: Body,
        timeouts: Timeouts,
        expires: float,
        hearer: Hearer | None,
    ) -> Reply:
        declared = request.headers.get("content-length")
        length = int(declared) if declared is not None else None
        request.headers.remove("content-length")
        head = self.head(request, length)
        connection = self.pool.idle_connection() or await self._open(timeouts, expires)
        connection.hearer = hearer
        request.sent = True
        waiter = connection.send(head, timeouts, expires, head_only=request.method == "HEAD")
        if expires < self.pool.sweeps_at:
            self.pool.watch(connection)
        connection.upload(body, chunked=length is None)
        try:
            return await waiter
        except asyncio.CancelledError:
            connection.give_up(waiter)
            raise

    def close(self, emptied: Callable[[], None] | None = None) -> None:
        """Close idle connections; busy ones close as they finish, then `emptied` is called."""
        self.pool.close(emptied)

    def reopen(self) -> None:
        """Take back `close`: connections are kept again."""
        self.pool.reopen()
