"""Addresses to listen on: `HOST:PORT`, `[::1]:PORT`, `unix:/path`."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from llmproxy.references import quoted


@dataclass(frozen=True, slots=True)
class Address:
    """A place to listen: a host and a port, or the path of a Unix socket."""

    host: str
    port: int
    path: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read an address; port 0 asks the system for a free one."""
    if text.startswith("unix:"):
        if not text[5:].startswith("/"):
            raise ValueError(f"{quoted(text)} needs an absolute path, as in unix:/run/llmproxy.sock")
        return Address("", 0, text[5:])
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    plausible = bool(host) and (bracketed or ":" not in host)
    if not (colon and plausible and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(
            f'{quoted(text)} is not an address such as "127.0.0.1:8080", "[::1]:8080" or "unix:/path"'
        )
    return Address(_ipv6(text, host[1:-1]) if bracketed else host, int(port))


def _ipv6(text: str, host: str) -> str:
    try:
        if ip_address(host).version == 6:
            return host
    except ValueError:
        pass
    raise ValueError(f"{quoted(text)} holds no IPv6 address between the brackets")
