"""What EndpointSlices say of who may be asked (Kubernetes API, discovery.k8s.io/v1). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from llmproxy.plugin import BadRegistry, PoolMember


class Seen(NamedTuple):
    """One endpoint: where it is, and what its conditions say. What is not said counts as the API's document has it."""

    member: PoolMember
    ready: bool
    serving: bool


def read_slice(item: Any, port: str | int | None, family: str = "any") -> tuple[str, list[Seen]]:
    """Return a slice's name and its endpoints at the wanted port; none where its addresses are of another family."""
    try:
        name, number = item["metadata"]["name"], _port(item.get("ports") or [], port)
        if family not in {"any", str(item.get("addressType")).lower()}:
            return name, []
        return name, [seen for each in item.get("endpoints") or [] for seen in _endpoint(each, number)]
    except (KeyError, TypeError, AttributeError):
        raise BadRegistry("the API server sends what is no EndpointSlice") from None


def _port(ports: list[dict[str, Any]], wanted: str | int | None) -> Any:
    """Return the number of the wanted port; where none is, that of the only one."""
    if wanted is None:
        return ports[0].get("port") if len(ports) == 1 else None
    key = "port" if isinstance(wanted, int) else "name"
    return next((each.get("port") for each in ports if (each.get(key) or "") == wanted), None)


def _endpoint(item: dict[str, Any], port: Any) -> Iterator[Seen]:
    conditions = item.get("conditions") or {}
    # What is left out means ready; serving follows ready.
    ready = conditions.get("ready") is not False
    serving = ready if conditions.get("serving") is None else conditions["serving"] is True
    labels = {name: item.get(key) for name, key in (("zone", "zone"), ("node", "nodeName"))}
    # All of an endpoint's addresses are the same endpoint.
    for address in (item.get("addresses") or [])[:1]:
        member = PoolMember.read(address, port, labels=labels)
        if member is not None:
            yield Seen(member, ready, serving)


def members_of(slices: Iterable[list[Seen]], *, include_serving: bool) -> list[PoolMember]:
    """Return who may be asked, in a stable order.

    Where nobody is ready, those that still serve while they end are better than nobody (as kube-proxy has it).
    An endpoint may stand in two slices while it is moved between them: once as it is now, once as it was.
    """
    all_seen = [seen for each in slices for seen in each]
    found = [seen.member for seen in all_seen if seen.ready or (include_serving and seen.serving)]
    found = found or [seen.member for seen in all_seen if seen.serving]
    return sorted({member.address: member for member in found}.values(), key=lambda member: member.address)
