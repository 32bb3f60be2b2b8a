"""What may be fetched for a caller: the configuration's section, and the judge that is made of it."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Final, Literal

import msgspec

from llmproxy.errors import ConfigError
from llmproxy.publicaddresses import Address, is_private, is_public, plain
from llmproxy.references import quoted
from llmproxy.sections import Section
from llmproxy.units import Duration, Size

_HOST: Final = re.compile(
    r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.ASCII
)
_ENDS_IN_NUMBER: Final = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)", re.ASCII)

Network = IPv4Network | IPv6Network
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class FetchingConfig(Section, frozen=True, kw_only=True):
    """Pictures and files behind URLs, which the gateway fetches where a provider takes bytes only.

    `allow` and `deny` list networks, addresses and host names (`*.example.com` is every name below it). Public
    addresses are allowed unless denied, others are refused unless allowed; a host that is allowed by name may be in a
    private range (10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7), but never on loopback or link-local addresses.
    """

    enabled: bool = True
    max_size: Size = 20 * 1024 * 1024
    timeout: Duration = 10.0
    schemes: tuple[Literal["http", "https"], ...] = ("https", "http")
    ports: tuple[Port, ...] = (443, 80)
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.timeout == 0:
            raise ConfigError("timeout", "a timeout of 0s would fail every fetch")
        for name in ("allow", "deny"):
            for index, text in enumerate(getattr(self, name)):
                if not isinstance(_rule(text), str | IPv4Network | IPv6Network):
                    example = 'a network such as "10.1.0.0/16" or a host such as "*.example.com"'
                    message = f"{quoted(text)} is not {example}"
                    raise ConfigError(f"{name}[{index}]", message)


def _rule(text: str) -> Network | str | None:
    try:
        return ip_network(text)
    except ValueError:
        host = text.lower()
        return host if _HOST.fullmatch(host) and not _ENDS_IN_NUMBER.fullmatch(host) else None


class FetchPolicy:
    """Judges where a fetch may go; made of a `FetchingConfig`, strict by default."""

    __slots__ = ("_allowed", "_denied", "ports", "schemes")

    def __init__(self, config: FetchingConfig = FetchingConfig()) -> None:  # noqa: B008  # frozen
        self._allowed = _Rules(config.allow)
        self._denied = _Rules(config.deny)
        self.ports = frozenset(config.ports)
        self.schemes = frozenset(config.schemes)

    def allows(self, host: str, address: Address) -> bool:
        """Whether `host`, a name or an address as text, may be reached at this address."""
        address = plain(address)
        if self._denied.has_host(host) or self._denied.has_address(address):
            return False
        if is_public(address) or self._allowed.has_address(address):
            return True
        return is_private(address) and self._allowed.has_host(host)


class _Rules:
    __slots__ = ("_below", "_hosts", "_networks")

    def __init__(self, texts: tuple[str, ...]) -> None:
        rules = [_rule(text) for text in texts]
        names = [rule for rule in rules if isinstance(rule, str)]
        self._networks = tuple(rule for rule in rules if isinstance(rule, IPv4Network | IPv6Network))
        self._hosts = frozenset(name for name in names if name[0] != "*")
        self._below = tuple(name[1:] for name in names if name[0] == "*")

    def has_host(self, host: str) -> bool:
        return host in self._hosts or host.endswith(self._below)

    def has_address(self, address: Address) -> bool:
        return any(address in network for network in self._networks)
