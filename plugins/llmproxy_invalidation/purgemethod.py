"""PURGE requests: who may send them, and what each purges."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from llmproxy.plugin import Exchange, GatewayError, Purge, PurgeOrder

if TYPE_CHECKING:
    from llmproxy_invalidation.config import PurgeMethod

#: Fields that name tags in a PURGE, as Varnish's xkey and Fastly take them.
_TAGS = ("surrogate-key", "xkey", "cache-tag")
_SOFT = ("fastly-soft-purge", "x-purge-soft")


class Permission:
    """Says who may purge on a route."""

    def __init__(self, method: PurgeMethod) -> None:
        self._networks = [ip_network(each) for each in method.networks]
        self._keys = frozenset(method.keys)

    def tenant_of(self, exchange: Exchange) -> str | None:
        """Return whose entries the caller may purge, None for everybody's.

        Raises:
            GatewayError: nobody's (403).
        """
        if _is_in(exchange.request.client, self._networks):
            return None
        if exchange.caller.key and exchange.caller.key in self._keys:
            return exchange.caller.tenant
        raise GatewayError(403, "purge_not_allowed", "You may not purge here.")


def order_of(exchange: Exchange, tenant: str | None) -> PurgeOrder:
    """Return what a PURGE orders: the tags that it names, else its target."""
    headers = exchange.request.headers
    soft = any(headers.get(name) == "1" for name in _SOFT)
    tags = [
        tag for name in _TAGS for value in headers.get_all(name) for tag in value.replace(",", " ").split()
    ]
    if tags:
        return PurgeOrder((Purge("tag", tuple(dict.fromkeys(tags)), tenant, soft),))
    return PurgeOrder((Purge("url", (exchange.request.target,), tenant, soft),))


def _is_in(client: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(client)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in networks)
