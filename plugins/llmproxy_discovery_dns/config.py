"""The plugin's configuration."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal

import msgspec

from llmproxy.plugin import ConfigError, DiscoverySettings, Duration

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class DnsConfig(DiscoverySettings, frozen=True, kw_only=True):
    """Which name is looked up, and how; `min_ttl` and `max_ttl` bound what its records say of their lives."""

    name: str
    records: Literal["addresses", "srv"] = "addresses"
    family: Literal["any", "ipv4", "ipv6"] = "any"
    port: Port | None = None
    servers: tuple[str, ...] = ()
    min_ttl: Duration = 1.0
    max_ttl: Duration = 300.0

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 253:
            raise ConfigError("name", "not a name; write one as in backend.internal")
        if self.records == "addresses" and self.port is None:
            raise ConfigError("port", "missing; only SRV records tell the port")
        if self.records == "srv" and self.port is not None:
            raise ConfigError("port", "of no use here; SRV records tell the port")
        if not 0 < self.min_ttl <= self.max_ttl:
            raise ConfigError("min_ttl", "0s, or longer than max_ttl")
        for index, server in enumerate(self.servers):
            try:
                split_server(server)
            except ValueError:
                message = 'not an address; write "10.0.0.53", "10.0.0.53:5353" or "[::1]:53"'
                raise ConfigError(f"servers[{index}]", message) from None


def split_server(server: str) -> tuple[str, int]:
    """Return a DNS server's address and port; raise `ValueError` if it is none."""
    host, colon, port = server.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = server, "53"
    number = int(port)
    if not 0 < number < 65536:
        raise ValueError(port)
    return str(ip_address(host.removeprefix("[").removesuffix("]"))), number
