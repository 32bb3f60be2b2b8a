"""Who the caller is, through trusted proxies: `Forwarded` (RFC 7239) and `X-Forwarded-*`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmproxy.messages import Headers

_PAIR = re.compile(r'(?:^|;)\s*(for|proto)=("[^"]*"|[^;,\s"]+)\s*(?=;|$)', re.IGNORECASE)
_SCHEMES = frozenset({"http", "https"})


class TrustedProxies:
    """The networks whose word about the caller is taken."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(network) for network in networks]
        self.trusts = lru_cache(maxsize=4096)(self._trusts)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            # A Unix socket's peer has no address; whoever may connect to it is on this machine.
            return address == ""
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            # How a socket of both families shows an IPv4 peer.
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)

    def resolve(self, peer: str, scheme: str, headers: Headers) -> tuple[str, str]:
        """Return the caller's address and scheme: the nearest hop that is not a trusted proxy.

        Fields from a peer that is not trusted are ignored; so is all that stands beyond a hop which is not trusted,
        or whose address is no address: the caller's is then empty. `Forwarded` counts only where there is no
        `X-Forwarded-For`: most proxies write the latter alone, and pass on whatever `Forwarded` a caller made up.
        """
        if not self.trusts(peer):
            return peer, scheme
        nearest = ",".join(headers.get_all("x-forwarded-proto")).rpartition(",")[2]
        scheme = _scheme(nearest, scheme)
        for hop, proto in _hops(headers):
            peer, scheme = hop, _scheme(proto, scheme)
            if not hop or not self.trusts(hop):
                break
        return peer, scheme


def _hops(headers: Headers) -> Iterator[tuple[str, str]]:
    """Yield each hop's address and scheme, the nearest first; what cannot be read is empty."""
    hops = ",".join(headers.get_all("x-forwarded-for"))
    for hop in reversed(hops.split(",")):
        if hop.strip():
            yield _address(hop), ""
    for element in _from_the_right("" if hops else ",".join(headers.get_all("forwarded"))):
        if element.strip():
            pairs = {key.lower(): value.strip('"') for key, value in _PAIR.findall(element)}
            yield _address(pairs.get("for", "")), pairs.get("proto", "")


def _scheme(told: str, otherwise: str) -> str:
    told = told.strip().lower()
    return told if told in _SCHEMES else otherwise


def _from_the_right(text: str) -> Iterator[str]:
    """Yield a list's elements, the last first: no quote that a caller left open can swallow what proxies appended."""
    quoted, end = False, len(text)
    for at in range(len(text) - 1, -1, -1):
        if text[at] == '"':
            quoted = not quoted
        elif text[at] == "," and not quoted:
            yield text[at + 1 : end]
            end = at
    yield text[:end]


def _address(text: str) -> str:
    """Strip a port and brackets off a hop; return an empty string for what is no address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
