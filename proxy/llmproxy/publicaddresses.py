"""Which addresses are public: everybody's internet, and nothing that only the gateway can reach.

The ranges are those of IANA's special-purpose address registries (RFC 6890) that are not globally reachable, and a few
more that clouds keep for themselves. The standard library's `is_global` changes between patch releases and passes
multicast; a guard wants one answer.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address

#: This network, private ones, carriers' (RFC 6598), loopback, link-local with metadata services, protocol assignments,
#: documentation (three), the 6to4 relays, benchmarks, multicast, reserved ones; Azure's host, which has a public number.
_CLOSED_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
    )
)

#: Global unicast; what is outside of it is loopback, link-local, unique-local, multicast or not given out.
_UNICAST: Final = IPv6Network("2000::/3")
#: Protocol assignments with Teredo in them, documentation (two ranges) and 6to4.
_CLOSED_V6: Final = tuple(
    IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
#: The well-known prefix of NAT64 (RFC 6052 §2.1): an IPv4 address in other clothes, needed where there is IPv6 alone.
_NAT64: Final = IPv6Network("64:ff9b::/96")

#: What an operator calls private; a host that is allowed by name may be there.
_PRIVATE: Final[tuple[IPv4Network | IPv6Network, ...]] = (
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")),
    IPv6Network("fc00::/7"),
)
#: Where clouds tell a machine its own credentials, inside the private ranges.
_METADATA: Final = frozenset(
    map(IPv6Address, ("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42"))
) | {IPv4Address("100.100.100.200")}

#: No host, the link with its metadata services, multicast, reserved ones with broadcast, Azure's host.
_NOBODYS_V4: Final = tuple(
    map(IPv4Network, ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"))
)

_DECIMAL: Final = re.compile(r"[1-9][0-9]{0,10}|0", re.ASCII)
_OCTAL: Final = re.compile(r"0[0-7]{1,12}", re.ASCII)
_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]{0,12}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*", re.ASCII)


def plain(address: Address) -> Address:
    """Return the IPv4 address inside an IPv4-mapped or NAT64 one, else the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether an address is everybody's; tunnels that hide another address (6to4, Teredo) never are."""
    address = plain(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    if address.scope_id is not None or address not in _UNICAST:
        return False
    return not any(address in network for network in _CLOSED_V6)


def is_private(address: Address) -> bool:
    """Whether an address is in a range for networks of one's own, and no cloud's metadata service."""
    address = plain(address)
    return address not in _METADATA and any(address in network for network in _PRIVATE)


def is_nobodys(address: Address) -> bool:
    """Whether nobody of one's own can be there: no host at all, all of them, whoever is on the link, cloud metadata."""
    address = plain(address)
    if isinstance(address, IPv4Address):
        return address in _METADATA or any(address in network for network in _NOBODYS_V4)
    odd = address.is_unspecified or address.is_multicast or address.is_link_local
    return odd or address.scope_id is not None or address in _METADATA


def read_ipv4(host: str) -> IPv4Address | None:
    """Read what the C library and browsers take for an IPv4 address: `127.1`, `0x7f.1`, `2130706433`, `017700000001`.

    None: it is a name.

    Raises:
        ValueError: it ends in a number, so that it cannot be a name, and is no address either.
    """
    parts = host.split(".")
    if _NUMBER.fullmatch(parts[-1]) is None:
        return None
    *high, low = [_number(part) for part in parts[:5]]
    if len(parts) > 4 or any(number > 255 for number in high) or low >= 256 ** (4 - len(high)):
        raise ValueError("not an IPv4 address")
    return IPv4Address(sum(number << (24 - 8 * place) for place, number in enumerate(high)) + low)


def _number(text: str) -> int:
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    if _HEX.fullmatch(text):
        return int(text[2:] or "0", 16)
    raise ValueError("not a number of an IPv4 address")
