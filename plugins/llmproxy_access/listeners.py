"""Tells what is of this machine alone: an address to listen on, the page that a browser's request comes from."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_local(address: str) -> bool:
    """Say so of `HOST:PORT`, `[::1]:PORT` or `unix:/path`."""
    if address.startswith("unix:"):
        return True
    return is_local_host(address.rpartition(":")[0].removeprefix("[").removesuffix("]"))


def is_foreign(origin: str) -> bool:
    """Say whether an `Origin` (RFC 6454 §7) is a web page of another machine, or one that hides where it is from.

    Applications with a scheme of their own, editors among them, are no web pages.
    """
    try:
        parts = urlsplit(origin)
        return origin == "null" or (
            parts.scheme in {"http", "https"} and not is_local_host(parts.hostname or "")
        )
    except ValueError:
        return True


def is_local_host(host: str) -> bool:
    """Say so of a host's name or address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
