"""Members: the addresses that a registry lists for one service, as one discovery plugin tells them."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmproxy.errors import GatewayError
from llmproxy.publicaddresses import is_nobodys, read_ipv4

if TYPE_CHECKING:
    from llmproxy.exchange import Endpoint, Exchange
    from llmproxy.metrics import Metrics
    from llmproxy.route import Target

#: Members that one list may have; what comes after them is left out.
MOST: Final = 1024
#: Labels of a member, and characters of each of their names and values.
_LABELS: Final = 32
_LABEL: Final = 256

_HOST: Final = re.compile(r"(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?)+", re.ASCII | re.I)


class PoolMember(msgspec.Struct, frozen=True):
    """One address, an IP address or a name; `weight` is its share among the members, 0 only if the others fail."""

    host: str
    port: int
    weight: float = 1.0
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(
        cls, host: object, port: object, weight: object = 1.0, labels: object = None
    ) -> PoolMember | None:
        """Return what a registry lists as a member, None where it can be none; labels that are no text are left out."""
        if not isinstance(host, str) or isinstance(port, bool) or not isinstance(port, int):
            return None
        plain = _host(host)
        if plain is None or not 0 < port < 65536:
            return None
        return cls(plain, port, _weight(weight), _labels(labels))

    @property
    def address(self) -> str:
        """`10.0.0.1:8080`, `[::1]:8080`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _host(host: str) -> str | None:
    """Return an address or a name, in its usual spelling; None for what is neither, or where nobody's service is."""
    try:
        address: IPv4Address | IPv6Address | None = ip_address(host)
    except ValueError:
        if not _HOST.fullmatch(host):
            return None
        host = host.lower().removesuffix(".")
        try:
            address = read_ipv4(host)
        except ValueError:
            return None
    if address is None:
        return host
    return None if is_nobodys(address) else str(address)


def _weight(weight: object) -> float:
    known = isinstance(weight, int | float) and not isinstance(weight, bool) and math.isfinite(weight)
    return min(max(float(weight), 0.0), 1e6) if known else 1.0  # type: ignore[arg-type]  # a number, as just told


def _labels(labels: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(labels, dict):
        return ()
    texts = [(name, text) for name, text in labels.items() if isinstance(name, str) and isinstance(text, str)]
    return tuple(sorted((name[:_LABEL], text[:_LABEL]) for name, text in texts)[:_LABELS])


#: The last list of a plugin, if there was any.
Kept = tuple[PoolMember, ...] | None


class MemberList:
    """What one discovery plugin knows; `members` is None until it has heard of any.

    An answer that cannot be is worse than an old one: whatever goes wrong, the last list stays. That is logged once, and
    once more when it is over; each time is counted.
    """

    def __init__(
        self, plugin: str, metrics: Metrics, log: Any, changed: Callable[[MemberList], None], kept: Kept
    ) -> None:
        self.members: tuple[PoolMember, ...] | None = kept
        #: Set as soon as there is a list.
        self.known = asyncio.Event()
        if kept is not None:
            self.known.set()
        self._changed = changed
        self._log = log
        self._kept_for = ""
        self._left_out = False
        self._size = metrics.gauge(
            "llmproxy_members", "Members that a discovery plugin knows.", ("plugin",), mode="max"
        ).labels(plugin)
        changes = metrics.counter(
            "llmproxy_member_changes_total", "Members that came or left.", ("plugin", "change")
        )
        self._added, self._removed = changes.labels(plugin, "added"), changes.labels(plugin, "removed")
        self._plugin = plugin
        self._failures = metrics.counter(
            "llmproxy_discovery_failures_total",
            "Answers of a registry that brought no list, so that the last one stayed.",
            ("plugin", "reason"),
        )
        self._size.set(len(kept or ()))

    def set(self, found: Iterable[PoolMember], *, allow_empty: bool = False) -> None:
        """Take a registry's list; an empty one is not believed unless `allow_empty`."""
        by_address: dict[str, PoolMember] = {}
        for member in found:
            by_address.setdefault(member.address, member)
            if len(by_address) > MOST:
                break
        if len(by_address) > MOST and not self._left_out:
            self._log.warning("members_left_out", most=MOST)
        self._left_out = len(by_address) > MOST
        members = tuple(by_address.values())[:MOST]
        if not members and not allow_empty:
            self.keep("the registry lists no members", reason="empty")
            return
        if self._kept_for:
            self._log.info("members_heard_again", members=len(members))
            self._kept_for = ""
        if members != self.members:
            self._take(members)

    def _take(self, members: tuple[PoolMember, ...]) -> None:
        before = {member.address for member in self.members or ()}
        now = {member.address for member in members}
        added, removed = sorted(now - before), sorted(before - now)
        self.members = members
        self._size.set(len(members))
        self._added.inc(len(added))
        self._removed.inc(len(removed))
        if added or removed:
            self._log.info("members_changed", members=len(members), added=added[:8], removed=removed[:8])
        self._changed(self)
        self.known.set()

    def keep(self, why: str, *, reason: str = "away") -> None:
        """Keep the last list, as the registry is `away`, its answer `malformed` or `empty`; `why` holds no secret."""
        self._failures.labels(self._plugin, reason).inc()
        if self._kept_for != reason:
            self._kept_for = reason
            count = None if self.members is None else len(self.members)
            self._log.warning("members_kept", reason=reason, why=why, members=count)


def reach(exchange: Exchange, endpoint: Endpoint) -> tuple[Endpoint, Target]:
    """Return the member that an attempt goes to, and how: the one that was chosen.

    Where nobody chose, or the chosen one has left before anything was sent to it, the first of the others stands in.

    Raises:
        GatewayError: 503, there is none.
    """
    members = exchange.route.members
    target = members.get(endpoint.member or "")
    if target is not None:
        return endpoint, target
    name = next((each for each in members if each.startswith(f"{endpoint.upstream}@")), None)
    if name is None:
        raise GatewayError(503, "no_members", "No member of this upstream is known now.", retry_after=1)
    endpoint = exchange.endpoint = replace(endpoint, member=name)
    return endpoint, members[name]
