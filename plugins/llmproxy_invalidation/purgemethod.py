"""PURGE requests: who may send them, and what each purges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from llmproxy.caches import Purge, PurgeOrder
from llmproxy.plugin import BadRequest, Exchange, GatewayError

if TYPE_CHECKING:
    from llmproxy_invalidation.config import PurgeMethod

#: Fields that name tags in a PURGE, as Varnish's xkey and Fastly take them.
_TAGS = ("surrogate-key", "xkey", "cache-tag")
#: Tags that one request may name, as many as one order of the purge API.
MOST_TAGS = 1024
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
    """Return what a PURGE orders: the tags that it names, else its target.

    Raises:
        BadRequest: too many tags, or a target that is none.
    """
    headers = exchange.request.headers
    soft = any(headers.get(name) == "1" for name in _SOFT)
    tags = tuple(dict.fromkeys(tag for name in _TAGS for tag in _listed(headers.get_all(name))))
    if len(tags) > MOST_TAGS:
        message = f"{len(tags)} tags are named, which is more than {MOST_TAGS}; send several requests."
        raise BadRequest("bad_purge", message)
    purge = (
        Purge("tag", tags, tenant, soft) if tags else Purge("url", (exchange.request.target,), tenant, soft)
    )
    try:
        purge.slots()
    except ValueError:
        raise BadRequest("bad_purge", "This target is no URL that could be purged.") from None
    return PurgeOrder((purge,))


def _listed(values: Iterable[str]) -> Iterator[str]:
    """Give the tags of a field as upstreams' answers name them: in UTF-8."""
    for value in values:
        yield from value.encode("latin-1").decode("utf-8", "surrogateescape").replace(",", " ").split()


def _is_in(client: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(client)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in networks)
