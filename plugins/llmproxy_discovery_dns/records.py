"""What SRV records mean for who is asked how often (RFC 2782). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from llmproxy.plugin import PoolMember

#: The weight of a record of weight 0 among others: "a very small probability" (RFC 2782).
_SMALL: Final = 0.01


class Srv(NamedTuple):
    """One SRV record."""

    priority: int
    weight: int
    port: int
    target: str


def srv_members(records: Iterable[Srv], addresses: Mapping[str, Sequence[str]]) -> Iterator[PoolMember]:
    """Yield the members that SRV records list, in a stable order; `addresses` are those of their targets.

    The lowest priority is asked by weight; the others come behind it with weight 0, so only when those fail.
    A target's addresses share its weight. A single record that leads to "." says that there is nobody.
    """
    ordered = sorted({record for record in records if record.target.rstrip(".")})
    first = ordered[0].priority if ordered else 0
    weighted = any(record.weight for record in ordered if record.priority == first)
    for record in ordered:
        found = sorted(addresses.get(record.target, ()))
        weight = (record.weight or _SMALL) if weighted else 1.0
        for address in found:
            share = weight / len(found) if record.priority == first else 0.0
            member = PoolMember.read(address, record.port, share, {"target": record.target})
            if member is not None:
                yield member
