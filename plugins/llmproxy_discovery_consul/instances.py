"""Reads Consul's answers about the health of a service. Pure."""

from __future__ import annotations

from typing import Any

from llmproxy.plugin import BadRegistry, PoolMember


def read_instances(entries: Any) -> list[PoolMember]:
    """Return the instances of a service that Consul's health endpoint lists, in a stable order.

    An instance without an address of its own is at its node's; one that cannot be reached at all (no port) is left out.
    """
    if not isinstance(entries, list):
        raise BadRegistry("Consul's answer is not a list")
    found = [member for entry in entries if (member := _instance(entry)) is not None]
    return sorted(found, key=lambda member: member.address)


def _instance(entry: Any) -> PoolMember | None:
    if not isinstance(entry, dict) or not isinstance(service := entry.get("Service"), dict):
        raise BadRegistry("Consul's answer holds what is no instance of a service")
    node = entry.get("Node")
    host = service.get("Address") or (node.get("Address") if isinstance(node, dict) else None)
    weights = service.get("Weights")
    weight = weights.get("Passing", 1) if isinstance(weights, dict) else 1
    return PoolMember.read(host, service.get("Port"), weight, service.get("Meta"))


def next_index(before: int, told: str | None) -> int:
    """Return the index to ask with next: what was told, or 0 to begin anew where that went back or makes no sense."""
    index = int(told) if told is not None and told.isascii() and told.isdigit() and len(told) < 20 else 0
    return index if index >= before else 0
