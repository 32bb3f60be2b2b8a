"""Who the caller is, through trusted proxies: `Forwarded` (RFC 7239) and `X-Forwarded-*`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmproxy.messages import Headers

_PAIR = re.compile(r'(?:^|[;,\s])(for|proto|host)=("(?:[^"\\]|\\.)*"|[^;,\s]+)', re.IGNORECASE)


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
        return any(parsed in network for network in self._networks)

    def resolve(self, peer: str, scheme: str, headers: Headers) -> tuple[str, str]:
        """Return the caller's address and scheme: the nearest hop that is not a trusted proxy.

        Fields from a peer that is not trusted are ignored.
        """
        if not self.trusts(peer):
            return peer, scheme
        hops, protos = self._hops(headers)
        for hop in reversed(hops):
            peer = hop
            if not self.trusts(hop):
                break
        return peer, (protos[-1] if protos and protos[-1] in {"http", "https"} else scheme)

    def _hops(self, headers: Headers) -> tuple[list[str], list[str]]:
        forwarded = headers.get_all("forwarded")
        if forwarded:
            pairs = [(k.lower(), v.strip('"')) for k, v in _PAIR.findall(",".join(forwarded))]
            hops = [_address(value) for key, value in pairs if key == "for"]
            return [hop for hop in hops if hop], [value.lower() for key, value in pairs if key == "proto"]
        hops = [_address(hop) for line in headers.get_all("x-forwarded-for") for hop in line.split(",")]
        protos = [p.strip().lower() for line in headers.get_all("x-forwarded-proto") for p in line.split(",")]
        return [hop for hop in hops if hop], protos


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
