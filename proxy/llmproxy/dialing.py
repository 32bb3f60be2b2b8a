"""Reaching an upstream: names, addresses, proxies, TLS."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed leaves it out

import aiohappyeyeballs

from llmproxy.errors import StartError, UpstreamError
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.config import UpstreamConfig, UpstreamTls

P = TypeVar("P", bound=asyncio.Protocol)
Q = TypeVar("Q", bound=asyncio.Protocol)

AddrInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]

#: HTTP/1.1 only, said plainly: a server that would pick another protocol must not.
ALPN = ["http/1.1"]

#: Seconds before the second address family is tried as well (RFC 8305 §8).
ATTEMPT_DELAY = 0.25

#: Bytes of a proxy's answer to CONNECT.
MAX_ANSWER = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])[ \r]")


class Names:
    """A DNS cache: one look-up at a time a name, kept for `ttl` seconds, the last answer kept while look-ups fail."""

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._known: dict[tuple[str, int], tuple[float, list[AddrInfo]]] = {}
        self._asking: dict[tuple[str, int], asyncio.Task[list[AddrInfo] | OSError]] = {}

    async def resolve(self, host: str, port: int) -> list[AddrInfo]:
        """Return the addresses of `host`, both families; raise OSError if there never was an answer."""
        key = (host, port)
        expires, known = self._known.get(key, (0.0, []))
        if asyncio.get_running_loop().time() < expires:
            return known
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = spawn(self._ask(key, known), name=f"look-up of {host}")
        found = await asyncio.shield(asking)
        if isinstance(found, OSError):
            raise found
        return found

    async def _ask(self, key: tuple[str, int], known: list[AddrInfo]) -> list[AddrInfo] | OSError:
        """Look up; a failure is returned, as those who asked may all have left."""
        loop = asyncio.get_running_loop()
        try:
            found = cast("list[AddrInfo]", list(await loop.getaddrinfo(*key, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as fault:
            if not known:
                return fault if isinstance(fault, OSError) else socket.gaierror(socket.EAI_NONAME, str(fault))
            found = known
        finally:
            del self._asking[key]
        self._known[key] = (loop.time() + self._ttl, found)
        return found


def client_context(tls: UpstreamTls | None) -> ssl.SSLContext:
    """Return the TLS context for an upstream: system trust or a custom CA, a client certificate if one is given.

    Raises:
        StartError: a file cannot be read, or is no certificate or key.
    """
    if tls is None or (tls.ca is None and tls.certificate is None and tls.verify):
        return _default_context()
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except OSError as fault:
        raise StartError(f"the CA file '{tls.ca}' cannot be used: {fault.strerror or fault}") from fault
    context.set_alpn_protocols(ALPN)
    if tls.certificate:
        try:
            context.load_cert_chain(tls.certificate, tls.key)
        except OSError as fault:
            files = f"'{tls.certificate}' and its key '{tls.key}'"
            raise StartError(
                f"the client certificate {files} cannot be used: {fault.strerror or fault}"
            ) from fault
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@cache
def _default_context() -> ssl.SSLContext:
    # One for all: the system's authorities take 15 ms and half a megabyte to load.
    context = ssl.create_default_context()
    context.set_alpn_protocols(ALPN)
    return context


def choose_proxy(config: UpstreamConfig, environ: Mapping[str, str]) -> str | None:
    """Return the proxy's URL for this upstream: its own, or the environment's unless NO_PROXY names the host.

    Raises:
        StartError: the environment names one that is not spoken here.
    """
    if config.proxy != "env":
        return config.proxy
    url = urlsplit(config.base_url)
    # Lower case wins, as with curl; it also sorts last.
    proxies = {
        name.lower().removesuffix("_proxy"): value
        for name, value in sorted(environ.items())
        if name.lower().endswith("_proxy")
    }
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass_environment(url.netloc, proxies):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    _check_proxy(proxy, url.scheme)
    return proxy


def _check_proxy(proxy: str, scheme: str) -> None:
    # Its text is not repeated: it may hold a password.
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        name = f"{scheme}_proxy".upper()
        raise StartError(
            f"'{name}' or 'ALL_PROXY' in the environment is not the URL of an HTTP or HTTPS proxy"
        )


class Dialer:
    """Opens connections to one origin, straight or through a proxy.

    `context` is the TLS context, None for plain http; `proxy_url` may hold credentials.
    """

    def __init__(self, config: UpstreamConfig, environ: Mapping[str, str]) -> None:
        url = urlsplit(config.base_url)
        self.secure = url.scheme == "https"
        self.host = _ascii(url.hostname or "")
        self.port = url.port or (443 if self.secure else 80)
        #: The address in place of the configured one, if it goes to another.
        self.elsewhere: str | None = None
        self.context = client_context(config.tls) if self.secure else None
        self.server_name = (config.tls.server_name if config.tls else None) or self.host
        self._socket = config.socket
        self.proxy_url = None if config.socket else choose_proxy(config, environ)
        self._names = Names(config.dns_ttl)
        self._proxy = urlsplit(self.proxy_url) if self.proxy_url else None
        self._proxy_context = _default_context() if self._proxy and self._proxy.scheme == "https" else None

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

    def towards(self, host: str, port: int) -> Dialer:
        """Return one that goes to another address, directly, and there expects and shows what this one does."""
        other = copy(self)
        other.host, other.port = _ascii(host), port
        other.elsewhere = f"{_bracketed(other.host)}:{port}"
        other._proxy = other.proxy_url = other._socket = None
        return other

    async def open(self, make: Callable[[], P]) -> P:
        """Connect and return the protocol, ready for a request; when cancelled, the peer sees the close at once.

        Raises:
            UpstreamError: phase `connect` or `tls`; nothing was sent.
        """
        if self._socket is not None:
            return await self._over_socket(self._socket, make)
        if self._proxy is not None:
            return await self._through_proxy(self._proxy, make)
        sock = await self._connect(self.host, self.port, "upstream")
        return await self._establish(make, sock, self.context, self.server_name, "upstream")

    async def _connect(self, host: str, port: int, whom: str) -> socket.socket:
        try:
            addresses = await self._names.resolve(host, port)
            return await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=ATTEMPT_DELAY, interleave=1
            )
        except (OSError, RuntimeError) as fault:  # uvloop raises both
            reason = "No connection comes about."
            if isinstance(fault, socket.gaierror):
                reason = "Its name cannot be resolved."
            elif isinstance(fault, ConnectionRefusedError):
                reason = "It refuses connections."
            message = f"The {whom} cannot be reached. {reason}"
            raise UpstreamError("upstream_unreachable", message, phase="connect", sent=False) from fault

    async def _over_socket(self, path: str, make: Callable[[], P]) -> P:
        context = self.context
        try:
            _, protocol = await asyncio.get_running_loop().create_unix_connection(
                make, path, ssl=context, server_hostname=self.server_name if context else None
            )
        except ssl.SSLError as fault:
            raise _tls_fault(fault, "upstream") from fault
        except OSError as fault:
            message = "The upstream cannot be reached. Nobody listens on its socket."
            raise UpstreamError("upstream_unreachable", message, phase="connect", sent=False) from fault
        return protocol

    async def _establish(
        self,
        make: Callable[[], Q],
        sock: socket.socket,
        context: ssl.SSLContext | None,
        server_name: str,
        whom: str,
    ) -> Q:
        loop = asyncio.get_running_loop()
        try:
            # Small writes must leave at once: a request is one write, an event of an upload another.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, protocol = await loop.create_connection(
                make, sock=sock, ssl=context, server_hostname=server_name if context else None
            )
        except OSError as fault:
            sock.close()
            raise _tls_fault(fault, whom) from fault
        except BaseException:
            # Cancelled in the handshake: the peer must see the close now, not at collection.
            sock.close()
            raise
        return protocol

    async def _through_proxy(self, proxy: SplitResult, make: Callable[[], P]) -> P:
        host = proxy.hostname or ""
        sock = await self._connect(host, proxy.port or (443 if self._proxy_context else 80), "proxy")
        if self.context is None:
            return await self._establish(make, sock, self._proxy_context, host, "proxy")
        tunnel = await self._establish(Tunnel, sock, self._proxy_context, host, "proxy")
        try:
            await tunnel.ask(f"{_bracketed(self.host)}:{self.port}", self.proxy_authorization())
            protocol = make()
            transport = await asyncio.get_running_loop().start_tls(
                tunnel.transport, protocol, self.context, server_hostname=self.server_name
            )
        except OSError as fault:
            tunnel.transport.abort()
            raise _tls_fault(fault, "upstream") from fault
        except BaseException:
            tunnel.transport.abort()
            raise
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
        if self._done.done() or (b"\r\n\r\n" not in self._answer and len(self._answer) < MAX_ANSWER):
            return
        status = _STATUS.match(self._answer)
        if status is None:
            self._fail("The proxy's answer is not HTTP.")
        elif status[1].startswith(b"2") and self._answer.endswith(b"\r\n\r\n"):
            # The transport is about to be upgraded; what comes next belongs to the handshake.
            self.transport.pause_reading()
            self._done.set_result(None)
        else:
            self._fail(f"The proxy refuses the connection to the upstream ({status[1].decode()}).")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._fail("The proxy closed the connection.")

    def _fail(self, message: str) -> None:
        self._done.set_exception(UpstreamError("upstream_unreachable", message, phase="connect", sent=False))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def _tls_fault(fault: OSError, whom: str) -> UpstreamError:
    if isinstance(fault, ssl.SSLCertVerificationError):
        message = f"The {whom}'s certificate is not accepted: {fault.verify_message}"
    else:
        message = f"The TLS handshake with the {whom} failed."
    return UpstreamError("upstream_tls_error", message, phase="tls", sent=False)
