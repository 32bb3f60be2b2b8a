"""A set of networks that is asked for one address at a time: sorted intervals of numbers, halved until found."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import ip_network
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

#: IPv4 addresses are counted behind all of IPv6, so that `::/0` is IPv6 alone. Those that come as IPv6 (RFC 4291
#: §2.5.5.2) stand there too.
_V4: Final = 1 << 128
_MAPPED: Final = 0xFFFF

Interval = tuple[int, int]


def read_network(text: str) -> Interval:
    """Return the first and last number of `10.0.0.0/8`, `2001:db8::/32` or a single address.

    Raises:
        ValueError: it is no network, or has bits behind its prefix.
    """
    network = ip_network(text)
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 4:
        return _V4 | first, _V4 | last
    # A network that only begins or ends among the mapped ones must not reach over to IPv4's place.
    return (_number(first), _number(last)) if first >> 32 == _MAPPED else (first, last)


def read_address(text: str) -> int | None:
    """Return an address as a number, without its zone; None where the text is none."""
    try:
        if ":" not in text:
            return _V4 | int.from_bytes(inet_pton(AF_INET, text), "big")
        return _number(int.from_bytes(inet_pton(AF_INET6, text.partition("%")[0]), "big"))
    except (OSError, ValueError):  # ValueError: NUL, or what no C string can hold
        return None


def _number(six: int) -> int:
    return _V4 | (six & 0xFFFFFFFF) if six >> 32 == _MAPPED else six


class Networks:
    """Networks, merged where they touch."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        firsts: list[int] = []
        lasts: list[int] = []
        for first, last in sorted(intervals):
            if lasts and first <= lasts[-1] + 1:
                lasts[-1] = max(lasts[-1], last)
            else:
                firsts.append(first)
                lasts.append(last)
        self._firsts, self._lasts = firsts, lasts

    def __len__(self) -> int:
        return len(self._firsts)

    def hold(self, address: int) -> bool:
        """Whether an address is in one of the networks."""
        place = bisect_right(self._firsts, address) - 1
        return place >= 0 and address <= self._lasts[place]
