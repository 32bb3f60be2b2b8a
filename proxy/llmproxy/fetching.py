"""Fetching what a caller's URL names without being led to where only the gateway can go.

Theory: a URL is a way to make the gateway ask on a caller's behalf, from inside the operator's network. So a URL is read
once, here; its host is looked up once; every address of the answer must be allowed; the connection is made to such an
address and not to the name, its peer is compared before a byte is sent, and TLS still proves the name. A redirect is a
new URL. No proxy is used, as that would look the name up again, and nothing of the gateway or its caller is sent.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from llmproxy.errors import BadRequest, UpstreamError
from llmproxy.fetchpolicy import FetchPolicy
from llmproxy.magic import media_type_of
from llmproxy.publicaddresses import Address, read_ipv4

if TYPE_CHECKING:
    from llmproxy.connection import UpstreamConnection
    from llmproxy.messages import Reply

#: Characters of a URL.
LONGEST: Final = 8192

#: Seconds that one address gets to answer before the fetch is given up.
_CONNECT: Final = 5.0
#: Names that are looked up at a time.
_LOOKUPS: Final = 8
_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BROKEN: Final = re.compile(r"[\x00-\x20\x7f\\]")
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.ASCII)
#: What servers say that do not know what they serve.
_ANYTHING: Final = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/binary"})

#: Looks a host up: the addresses as text, in the order in which they shall be tried.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Fetched(NamedTuple):
    """What was behind a URL."""

    media_type: str
    data: bytes


class UnreachableUrl(BadRequest):
    """A URL in a request could not be fetched, or must not be; the message names its host at most."""

    def __init__(self, message: str) -> None:
        super().__init__("unreachable_url", message)


class _Place(NamedTuple):
    """A URL, read: `host` in ASCII, `address` where it is one and no name."""

    scheme: str
    host: str
    address: Address | None
    port: int
    target: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


async def fetch_public(
    url: str,
    *,
    limit: int,
    timeout: float,
    media_types: Collection[str],
    max_redirects: int = 3,
    policy: FetchPolicy | None = None,
    resolve: Resolve | None = None,
) -> Fetched:
    """Fetch a URL that a stranger gave; only public addresses are reached, or what `policy` allows.

    `limit` is bytes, `timeout` seconds for all of it. `media_types` are those that are wanted (`image/*` is any
    picture); what is fetched is looked at, so a picture's type is that of its bytes and not what its server says.

    Raises:
        UnreachableUrl: it must not be fetched, cannot be, or is not what is wanted.
    """
    fetch = _Fetch(limit, media_types, policy or FetchPolicy(), resolve or system_names)
    try:
        async with asyncio.timeout(timeout):
            return await fetch.follow(url, max_redirects)
    except TimeoutError:
        raise UnreachableUrl(f"A URL in the request took longer than {timeout:g} s to be fetched.") from None


async def system_names(host: str, port: int) -> Sequence[str]:
    """Look a name up as the system does, in threads of its own.

    The loop has few threads for it, and its look-ups cannot be given up: callers' names, whose servers need not
    answer, would keep the gateway from finding its providers.
    """
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_threads(), look_up)
    # An address of IPv6 that is only good on one link keeps the link's number, and so is refused.
    return [f"{at[0]}%{at[3]}" if len(at) == 4 and at[3] else str(at[0]) for *_, at in found]


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_LOOKUPS, "fetched-names")


class _Fetch:
    """One fetch, over all of its redirects."""

    __slots__ = ("_limit", "_policy", "_resolve", "_wanted")

    def __init__(self, limit: int, wanted: Collection[str], policy: FetchPolicy, resolve: Resolve) -> None:
        self._limit = limit
        self._wanted = wanted
        self._policy = policy
        self._resolve = resolve

    async def follow(self, url: str, redirects: int) -> Fetched:
        """Fetch a URL, or what it leads to."""
        place = read_url(url, self._policy)
        for left in range(redirects, -1, -1):
            found = await self._ask(place)
            if isinstance(found, Fetched):
                return found
            if not left:
                raise UnreachableUrl(f"A URL in the request leads on more than {redirects} times.")
            url = _next(url, found)
            next_place = read_url(url, self._policy)
            if place.scheme == "https" and next_place.scheme != "https":
                raise UnreachableUrl(f"{place.authority} leads from https to http.")
            place = next_place
        raise AssertionError("unreachable")

    async def _ask(self, place: _Place) -> Fetched | str:
        """Return what is there, or where it is."""
        connection = await self._connect(place)
        try:
            reply = await _reply(connection, place)
            if reply.status in _REDIRECTS and (location := reply.headers.index.get(b"location")):
                return location.decode("utf-8", "replace")
            if reply.status != 200:
                raise UnreachableUrl(f"{place.authority} answered {reply.status}.")
            return await self._take(place, reply)
        finally:
            connection.abort()

    async def _connect(self, place: _Place) -> UpstreamConnection:
        from llmproxy.connection import UpstreamConnection  # noqa: PLC0415  # plugins import this module
        from llmproxy.dialing import client_context  # noqa: PLC0415  # likewise

        loop = asyncio.get_running_loop()
        sock = await self._reach(place)
        try:
            _, connection = await loop.create_connection(
                lambda: UpstreamConnection(_forget, loop),
                sock=sock,
                ssl=client_context(None) if place.scheme == "https" else None,
                server_hostname=place.host if place.scheme == "https" else None,
            )
        except OSError:
            sock.close()
            raise UnreachableUrl(f"No TLS connection to {place.authority} comes about.") from None
        except BaseException:
            sock.close()
            raise
        return connection

    async def _reach(self, place: _Place) -> socket.socket:
        """Connect to an address that was judged, and to nothing else."""
        import aiohappyeyeballs  # noqa: PLC0415  # plugins import this module

        addresses = await self._addresses(place)
        peers = [_peer(address, place.port) for address in addresses[:8]]
        try:
            async with asyncio.timeout(_CONNECT):
                sock = await aiohappyeyeballs.start_connection(peers, happy_eyeballs_delay=0.25, interleave=1)
        except (OSError, RuntimeError):  # a timeout is an OSError; uvloop raises both
            raise UnreachableUrl(f"{place.authority} cannot be reached.") from None
        if not self._is_one_of(sock, place, addresses):
            sock.close()
            raise _refused(place)
        return sock

    def _is_one_of(self, sock: socket.socket, place: _Place, addresses: Sequence[Address]) -> bool:
        try:
            peer = ip_address(sock.getpeername()[0])
        except (OSError, ValueError):
            return False
        return peer in addresses and self._policy.allows(place.host, peer)

    async def _addresses(self, place: _Place) -> Sequence[Address]:
        """Return where a host is; one address that must not be reached spoils all of them."""
        found: list[Address] = [] if place.address is None else [place.address]
        if place.address is None:
            try:
                found = [ip_address(text) for text in await self._resolve(place.host, place.port)]
            except (
                OSError,
                ValueError,
            ):  # told as a refusal is: which names an inner zone has is nobody's business
                found = []
        if not found or not all(self._policy.allows(place.host, address) for address in found):
            raise _refused(place)
        return found

    async def _take(self, place: _Place, reply: Reply) -> Fetched:
        from llmproxy.body import BodyTooLarge  # noqa: PLC0415  # plugins import this module

        declared = (reply.headers.get("content-type") or "").partition(";")[0].strip().lower()
        if declared not in _ANYTHING and not self._wants(declared):
            raise self._unwanted(place)
        if (reply.headers.get("content-encoding") or "identity").strip().lower() != "identity":
            raise UnreachableUrl(f"{place.authority} sends its answer compressed, unasked.")
        length = reply.headers.get("content-length") or "0"
        body = reply.body
        try:
            if not length.isdecimal() or len(length) > 15 or int(length) > self._limit:
                raise BodyTooLarge
            data = body if isinstance(body, bytes) else await body.read(self._limit)
            if len(data) > self._limit:
                raise BodyTooLarge
        except BodyTooLarge:
            message = f"What {place.authority} sends is larger than {self._limit} bytes."
            raise UnreachableUrl(message) from None
        except (OSError, UpstreamError) as fault:
            raise _broke_off(place) from fault
        return Fetched(self._judged(place, declared, data), data)

    def _judged(self, place: _Place, declared: str, data: bytes) -> str:
        seen = media_type_of(data)
        if not data or not self._wants(seen or declared) or (not seen and declared.startswith("image/")):
            raise self._unwanted(place)
        return seen or declared

    def _wants(self, media_type: str) -> bool:
        return media_type in self._wanted or f"{media_type.partition('/')[0]}/*" in self._wanted

    def _unwanted(self, place: _Place) -> UnreachableUrl:
        return UnreachableUrl(
            f"What {place.authority} sends is not one of {', '.join(sorted(self._wanted))}."
        )


def read_url(url: str, policy: FetchPolicy) -> _Place:
    """Read a URL as this module will use it; what others could read otherwise is refused."""
    if len(url) > LONGEST or _BROKEN.search(url):
        raise UnreachableUrl(
            "A URL in the request is too long, or holds a space, a backslash or a control character."
        )
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        address, host = _host(host, bracketed="[" in parts.netloc)
    except ValueError:
        raise UnreachableUrl("A URL in the request cannot be read.") from None
    if scheme not in policy.schemes:
        allowed = " and ".join(sorted(policy.schemes))
        raise UnreachableUrl(f"A URL in the request is not one that can be fetched: only {allowed} are.")
    if "@" in parts.netloc:
        raise UnreachableUrl("A URL in the request holds a user name or password.")
    port = _PORTS[scheme] if port is None else port
    if port not in policy.ports:
        raise UnreachableUrl(f"A URL in the request names port {port}, which is not fetched from.")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        target += "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~-._[]|")
    return _Place(scheme, host, address, port, target)


def _host(host: str, *, bracketed: bool) -> tuple[Address | None, str]:
    """Return the address that a host is, or None for a name; and its one spelling."""
    if bracketed:
        literal = IPv6Address(host)
        return literal, str(literal)
    if len(host) > 255:
        raise ValueError("a host is not that long")
    # Digits, letters and dots of other scripts become plain ones here (RFC 3490 §4), before anything is judged.
    host = host.encode("idna").decode().lower().removesuffix(".")
    if not _NAME.fullmatch(host):
        raise ValueError("not a host")
    address = read_ipv4(host)
    return address, host if address is None else str(address)


def _next(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise UnreachableUrl("A URL in the request leads to one that cannot be read.") from None


def _peer(
    address: Address, port: int
) -> tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]:
    if isinstance(address, IPv6Address):
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port)


async def _reply(connection: UpstreamConnection, place: _Place) -> Reply:
    from llmproxy.settings import Timeouts  # noqa: PLC0415  # settings hold this module's section

    fields = f"Host: {place.authority}\r\nUser-Agent: llmproxy\r\nAccept: */*\r\n"
    head = f"GET {place.target} HTTP/1.1\r\n{fields}Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
    try:
        return await connection.send(head.encode("ascii"), Timeouts(), float("inf"), head_only=False)
    except UpstreamError:
        raise _broke_off(place) from None


def _forget(connection: UpstreamConnection) -> None:
    """Nobody keeps it."""


def _refused(place: _Place) -> UnreachableUrl:
    return UnreachableUrl(f"{place.host} does not lead to a public address.")


def _broke_off(place: _Place) -> UnreachableUrl:
    return UnreachableUrl(f"{place.authority} did not answer with a whole HTTP reply.")
