"""Reaching an upstream: names, addresses, proxies, TLS."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment

import aiohappyeyeballs

from llmproxy.errors import UpstreamError

if TYPE_CHECKING:
    from llmproxy.config import UpstreamConfig, UpstreamTls

P = TypeVar("P", bound=asyncio.Protocol)

AddrInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]

#: Seconds before the second address family is tried as well (RFC 8305 §8).
ATTEMPT_DELAY = 0.25


class Names:
    """A DNS cache: one look-up at a time a name, kept for `ttl` seconds, the last answer kept while look-ups fail."""

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._known: dict[tuple[str, int], tuple[float, list[AddrInfo]]] = {}
        self._asking: dict[tuple[str, int], asyncio.Future[list[AddrInfo]]] = {}

    async def resolve(self, host: str, port: int) -> list[AddrInfo]:
        """Return the addresses of `host`, both families; raise OSError if there never was an answer."""
        loop = asyncio.get_running_loop()
        key = (host, port)
        expires, known = self._known.get(key, (0.0, []))
        if loop.time() < expires:
            return known
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(host, port))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        try:
            found = await asyncio.shield(asking)
        except OSError:
            if not known:
                raise
            found = known
        self._known[key] = (loop.time() + self._ttl, found)
        return found

    async def _ask(self, host: str, port: int) -> list[AddrInfo]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return cast("list[AddrInfo]", list(found))


def client_context(tls: UpstreamTls | None) -> ssl.SSLContext:
    """Return the TLS context for an upstream: system trust or a custom CA, a client certificate if one is given.

    Raises:
        OSError: a file cannot be read, or is no certificate or key (ssl.SSLError).
    """
    context = ssl.create_default_context(cafile=tls.ca if tls else None)
    # HTTP/1.1 only, said plainly: a server that would pick another protocol must not.
    context.set_alpn_protocols(["http/1.1"])
    if tls and tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    if tls and not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def choose_proxy(config: UpstreamConfig, environ: Mapping[str, str]) -> str | None:
    """Return the proxy's URL for this upstream: its own, or the environment's unless NO_PROXY names the host."""
    if config.proxy != "env":
        return config.proxy
    url = urlsplit(config.base_url)
    proxies = _environment_proxies(environ)
    if not proxies or proxy_bypass_environment(url.netloc.rpartition("@")[2], proxies):
        return None
    return proxies.get(url.scheme) or proxies.get("all")


def _environment_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    if environ is not None and not any(name.lower().endswith("_proxy") for name in environ):
        return {}
    return getproxies_environment()


class Dialer:
    """Opens connections to one origin, straight or through a proxy."""

    def __init__(self, config: UpstreamConfig, environ: Mapping[str, str]) -> None:
        url = urlsplit(config.base_url)
        self.secure = url.scheme == "https"
        self.host = url.hostname or ""
        self.port = url.port or (443 if self.secure else 80)
        self._names = Names(config.dns_ttl)
        self._context = client_context(config.tls) if self.secure else None
        self._server_name = (config.tls.server_name if config.tls else None) or self.host
        proxy = choose_proxy(config, environ)
        self._proxy: SplitResult | None = urlsplit(proxy) if proxy else None
        self._proxy_context = ssl.create_default_context() if proxy and proxy.startswith("https") else None

    @property
    def absolute_form(self) -> bool:
        """Whether request targets must be absolute, because a plain proxy reads them (RFC 9112 §3.2.2)."""
        return self._proxy is not None and not self.secure

    def proxy_authorization(self) -> bytes | None:
        """Return the proxy's credentials as a header value, if its URL has any."""
        if self._proxy is None or self._proxy.username is None:
            return None
        pair = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}"
        return b"Basic " + base64.b64encode(pair.encode())

    async def open(self, make: Callable[[], P], timeout: float) -> P:
        """Connect and return the protocol, ready for a request.

        Raises:
            UpstreamError: phase `connect` or `tls`; nothing was sent.
            TimeoutError: not connected within `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            if self._proxy is not None:
                return await self._through_proxy(self._proxy, make)
            sock = await self._connect(self.host, self.port)
            return await self._establish(make, sock, self._context, self._server_name)

    async def _connect(self, host: str, port: int) -> socket.socket:
        try:
            addresses = await self._names.resolve(host, port)
            return await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=ATTEMPT_DELAY, interleave=1
            )
        except OSError as fault:
            reason = "Its name cannot be resolved." if isinstance(fault, socket.gaierror) else "It refuses."
            message = f"The upstream cannot be reached. {reason}"
            raise UpstreamError("upstream_unreachable", message, phase="connect", sent=False) from fault

    async def _establish(
        self, make: Callable[[], P], sock: socket.socket, context: ssl.SSLContext | None, server_name: str
    ) -> P:
        loop = asyncio.get_running_loop()
        # Small writes must leave at once: a request is one write, an event of an upload another.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            _, protocol = await loop.create_connection(
                make, sock=sock, ssl=context, server_hostname=server_name if context else None
            )
        except (ssl.SSLError, ConnectionError) as fault:
            sock.close()
            raise _tls_fault(fault) from fault
        except BaseException:
            # Cancelled or timed out in the handshake: the peer must see the close now, not at collection.
            sock.close()
            raise
        return protocol

    async def _through_proxy(self, proxy: SplitResult, make: Callable[[], P]) -> P:
        sock = await self._connect(proxy.hostname or "", proxy.port or (443 if self._proxy_context else 80))
        if not self.secure:
            return await self._establish(make, sock, self._proxy_context, proxy.hostname or "")
        tunnel = await self._establish(Tunnel, sock, self._proxy_context, proxy.hostname or "")
        try:
            await tunnel.ask(f"{_bracketed(self.host)}:{self.port}", self.proxy_authorization())
            return await self._start_tls(tunnel, make())
        except BaseException:
            tunnel.transport.abort()
            raise

    async def _start_tls(self, tunnel: Tunnel, protocol: P) -> P:
        loop = asyncio.get_running_loop()
        context = cast("ssl.SSLContext", self._context)
        try:
            transport = await loop.start_tls(
                tunnel.transport, protocol, context, server_hostname=self._server_name
            )
        except (ssl.SSLError, ConnectionError) as fault:
            raise _tls_fault(fault) from fault
        protocol.connection_made(cast("asyncio.Transport", transport))
        return protocol


class Tunnel(asyncio.Protocol):
    """The CONNECT request to a proxy (RFC 9110 §9.3.6)."""

    def __init__(self) -> None:
        self._answer = bytearray()
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    async def ask(self, authority: str, authorization: bytes | None) -> None:
        """Open the tunnel, or raise UpstreamError."""
        request = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n".encode()
        if authorization:
            request += b"Proxy-Authorization: " + authorization + b"\r\n"
        self.transport.write(request + b"\r\n")
        await self._done

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self._done.done() or (b"\r\n\r\n" not in self._answer and len(self._answer) < 16384):
            return
        status = bytes(self._answer).split(b" ", 2)[1:2]
        if status == [b"200"] and self._answer.endswith(b"\r\n\r\n"):
            # The transport is about to be upgraded; what comes next belongs to the handshake.
            self.transport.pause_reading()
            self._done.set_result(None)
        else:
            code = status[0].decode("latin-1")[:3] if status else "nothing"
            self._fail(f"The proxy refuses the connection to the upstream ({code}).")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._fail("The proxy closed the connection.")

    def _fail(self, message: str) -> None:
        self._done.set_exception(UpstreamError("upstream_unreachable", message, phase="connect", sent=False))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _tls_fault(fault: OSError) -> UpstreamError:
    if isinstance(fault, ssl.SSLCertVerificationError):
        message = f"The upstream's certificate is not accepted: {fault.verify_message}."
    else:
        message = "The TLS handshake with the upstream failed."
    return UpstreamError("upstream_tls_error", message, phase="tls", sent=False)
