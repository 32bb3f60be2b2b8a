"""Asks DNS, and asks again when the answer's life is over."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from llmproxy.plugin import Listed, MemberSource, PoolMember, RegistryAway, StartError
from llmproxy_discovery_dns.config import DnsConfig, split_server
from llmproxy_discovery_dns.records import Srv, srv_members

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

T = TypeVar("T")

#: Targets of SRV records whose addresses are looked up.
_MOST_TARGETS: Final = 256
#: Look-ups at a time.
_AT_ONCE: Final = 8
#: Seconds after which a name that has no records is looked up again.
_NEGATIVE: Final = 5.0

_TYPES: Final = {"any": ("A", "AAAA"), "ipv4": ("A",), "ipv6": ("AAAA",)}


class Answer(NamedTuple):
    """The records of one type that a name has, and how many seconds they live."""

    records: list[Any]
    ttl: float


class Zone(MemberSource):
    """The members that one name lists."""

    def __init__(self, config: DnsConfig) -> None:
        self._config = config
        self._types = _TYPES[config.family]
        # A name's records and then its targets' addresses.
        self.patience = 3 * config.timeout
        self._resolver: Resolver | None = None
        self._turns = asyncio.Semaphore(_AT_ONCE)
        _resolver_module()

    async def look(self) -> Listed:
        """Look the name up; what of it cannot be found out is a failure of the whole, as half a list is none."""
        config = self._config
        if config.records == "srv":
            members, ttl = await self._services(config.name)
        else:
            found, ttl = await self._addresses(config.name)
            read = [PoolMember.read(address, config.port) for address in sorted(found)]
            members = [member for member in read if member is not None]
        return Listed(members, min(max(ttl, config.min_ttl), config.max_ttl))

    async def _services(self, name: str) -> tuple[list[PoolMember], float]:
        answer = await self._ask(name, "SRV")
        records = [
            Srv(each.priority, each.weight, each.port, each.target.to_text()) for each in answer.records
        ]
        targets = sorted({record.target for record in records if record.target != "."})[:_MOST_TARGETS]
        found = dict(zip(targets, await _together(map(self._addresses, targets)), strict=True))
        ttl = _shortest([answer.ttl, *(each[1] for each in found.values())])
        return list(srv_members(records, {target: each[0] for target, each in found.items()})), ttl

    async def _addresses(self, name: str) -> tuple[list[str], float]:
        answers = await _together(self._ask(name, kind) for kind in self._types)
        found = [each for each in answers if each.records] or answers
        return [record.address for each in found for record in each.records], _shortest(
            each.ttl for each in found
        )

    async def _ask(self, name: str, kind: str) -> Answer:
        """Return a name's records of one type; a name that has none has no records."""
        module = _resolver_module()
        import dns.exception  # noqa: PLC0415  # likewise
        import dns.resolver  # noqa: PLC0415

        if self._resolver is None:
            self._resolver = _make(module, self._config)
        try:
            async with self._turns:
                answer = await self._resolver.resolve(
                    name, kind, lifetime=self._config.timeout, raise_on_no_answer=False, search=True
                )
        except dns.resolver.NXDOMAIN:
            return Answer([], _NEGATIVE)
        except (dns.exception.DNSException, OSError) as fault:
            if not self._config.servers:
                self._resolver = None  # the system's servers may have changed
            raise RegistryAway(f"looking up {name} {kind} failed: {type(fault).__name__}") from None
        if answer.rrset is None:
            return Answer([], _NEGATIVE)
        # A chain of CNAMEs lives as long as its shortest link.
        return Answer(list(answer.rrset), float(answer.chaining_result.minimum_ttl))


async def _together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all of them at a time; the first that fails tells why all do."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return [task.result() for task in tasks]


def _shortest(lives: Iterable[float]) -> float:
    return min(lives, default=_NEGATIVE)


def _resolver_module() -> Any:
    try:
        import dns.asyncresolver  # noqa: PLC0415  # an extra, which is needed when it is configured
    except ImportError:
        raise StartError("discovery by DNS needs dnspython: pip install 'llmproxy-gateway[dns]'") from None
    return dns.asyncresolver


def _make(module: Any, config: DnsConfig) -> Resolver:
    import dns.nameserver  # noqa: PLC0415  # likewise

    resolver: Resolver = module.Resolver(configure=not config.servers)
    if config.servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*split_server(each)) for each in config.servers]
    return resolver
