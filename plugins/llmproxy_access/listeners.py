"""Tells whether an address to listen on can be reached from this machine alone."""

from __future__ import annotations

from ipaddress import ip_address


def is_local(address: str) -> bool:
    """Say so of `HOST:PORT`, `[::1]:PORT` or `unix:/path`."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].removeprefix("[").removesuffix("]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
