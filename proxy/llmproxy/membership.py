"""Where discovered members stand: in the place of the upstreams whose targets name a discovery plugin.

Theory of operation. Each address becomes an Upstream of its own, the same as the configured one but for where it dials,
and a place in every pool whose target names the plugin. When a list changes, all that chooses is swapped in one step of
the loop: the routes' `members`, the pools' `places`. Who left gets no new request; its idle connections close at once,
the others with their exchanges, and then it is forgotten. If it comes back before that, it is the same again.

Last lists outlive a generation in `Process.last_members`, as long as the plugin's settings stay the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.errors import ConfigError
from llmproxy.exchange import Endpoint
from llmproxy.members import MemberList, PoolMember
from llmproxy.pools import Place, Pool

if TYPE_CHECKING:
    from llmproxy.assembly import Assembly
    from llmproxy.poolsettings import TargetConfig
    from llmproxy.route import Route
    from llmproxy.runtime import Process
    from llmproxy.upstream import Upstream

#: Members that have left whose places are remembered, for each target: their vitals, should they come back.
_REMEMBERED: Final = 64


class Stand:
    """The places of one target's members in one pool."""

    def __init__(self, written: Place, upstream: str, plugin: str) -> None:
        self.written = written
        self.upstream = upstream
        self.plugin = plugin
        self._known: dict[str, Place] = {}

    def places(self, members: Sequence[PoolMember]) -> Iterator[Place]:
        """Yield a place for each member; together they weigh what their target does."""
        total = sum(member.weight for member in members) or 1.0
        known, self._known = self._known, {}
        for member in members:
            place = known.pop(member.address, None) or self._make(member.address)
            place.weight = self.written.weight * member.weight / total
            place.labels = member.labels
            self._known[member.address] = place
            yield place
        for address in list(known)[: max(0, _REMEMBERED - len(members))]:
            self._known[address] = known[address]

    def _make(self, address: str) -> Place:
        written = self.written
        model = None if written.endpoint is None else written.endpoint.model
        endpoint = Endpoint(self.upstream, model, f"{self.upstream}@{address}")
        place = Place(f"{written.name}@{address}", written.settings, endpoint)
        place.label = written.label
        return place


class PoolStand(NamedTuple):
    """A pool with discovered members: what was written down, with a stand where members take a place's place."""

    pool: Pool
    parts: Sequence[Place | Stand]


class Membership:
    """The members of one generation: their lists by plugin, their connections, their places."""

    def __init__(self, process: Process, assembly: Assembly) -> None:
        import structlog  # noqa: PLC0415  # as for Runtime

        self._process = process
        assembly.registered.target_checks.append(self._check)
        self._configs = {each.name: each.config for each in assembly.table.plugins if each.lists_members}
        self._lists = {
            name: MemberList(
                name,
                process.metrics,
                structlog.get_logger("llmproxy").bind(plugin=name),
                partial(self._changed, name),
                self._last(name),
            )
            for name in self._configs
        }
        self._kept: dict[str, tuple[object, tuple[PoolMember, ...]]] = {
            name: (self._configs[name], each.members)
            for name, each in self._lists.items()
            if each.members is not None
        }
        self._bases: Mapping[str, Upstream] = {}
        self._routes: Sequence[Route] = ()
        #: All pools of this generation, those that routes have of their own too.
        self.pools: Mapping[str, Pool] = {}
        self._pools: list[PoolStand] = []
        self._current: dict[str, Upstream] = {}
        self._leaving: dict[str, Upstream] = {}

    def _last(self, plugin: str) -> tuple[PoolMember, ...] | None:
        config, members = self._process.last_members.get(plugin, (None, None))
        return members if config == self._configs[plugin] else None

    def of(self, plugin: str) -> MemberList:
        """Return a plugin's list."""
        if plugin not in self._lists:
            raise RuntimeError(f"plugin {plugin!r} does not say that it lists members")
        return self._lists[plugin]

    def upstream(self, endpoint: Endpoint) -> Upstream | None:
        """Return the connections to an endpoint, None where it is not there (any more)."""
        if endpoint.member is None:
            return self._bases.get(endpoint.upstream)
        return self._current.get(endpoint.member)

    def settle(self, bases: Mapping[str, Upstream], pools: Iterable[Pool], routes: Sequence[Route]) -> None:
        """Put the members where pools want them, now and whenever a list changes."""
        # From here on this generation's lists are the last ones, whatever the one before still hears.
        self._process.last_members = self._kept
        own = [route.defaults for route in routes if isinstance(route.defaults, Pool)]
        each = {id(pool): pool for pool in (*pools, *own)}
        self.pools = {pool.name: pool for pool in each.values()}
        self._bases, self._routes = bases, [route for route in routes if route.handler is None]
        stands = [PoolStand(pool, [_part(place) for place in pool.places]) for pool in each.values()]
        self._pools = [stand for stand in stands if any(isinstance(part, Stand) for part in stand.parts)]
        self._arrange()

    def _check(self, target: TargetConfig) -> None:
        if target.members is not None and target.members not in self._lists:
            raise ConfigError("members", f"plugin {target.members!r} lists no members")

    def _changed(self, plugin: str, members: MemberList) -> None:
        self._kept[plugin] = self._configs[plugin], members.members or ()
        self._arrange()

    def _listed(self, stand: Stand) -> tuple[PoolMember, ...]:
        return self._lists[stand.plugin].members or ()

    def _arrange(self) -> None:
        """Swap all that chooses among members, in one step."""
        before, wanted = self._current, self._wanted()
        self._current = {
            name: before.get(name) or self._open(name, base, member)
            for name, (base, member) in wanted.items()
        }
        for route in self._routes:
            route.members = {
                name: route.members.get(name)
                or replace(route.targets[wanted[name][0].name], upstream=upstream)
                for name, upstream in self._current.items()
            }
        for pool, parts in self._pools:
            pool.places = tuple(place for part in parts for place in self._places(part))
        for name in before.keys() - wanted.keys():
            self._leaving[name] = before[name]
            before[name].close(partial(self._forget, name))

    def _wanted(self) -> dict[str, tuple[Upstream, PoolMember]]:
        stands = [part for _, parts in self._pools for part in parts if isinstance(part, Stand)]
        return {
            f"{stand.upstream}@{member.address}": (self._bases[stand.upstream], member)
            for stand in stands
            for member in self._listed(stand)
        }

    def _places(self, part: Place | Stand) -> Iterable[Place]:
        return part.places(self._listed(part)) if isinstance(part, Stand) else (part,)

    def _open(self, name: str, base: Upstream, member: PoolMember) -> Upstream:
        back = self._leaving.pop(name, None)
        if back is None:
            return base.member(name, member.host, member.port)
        back.reopen()
        return back

    def _forget(self, name: str) -> None:
        self._leaving.pop(name, None)

    def close(self) -> None:
        """Close all connections as they become idle, those of upstreams without members too."""
        for upstream in (*self._bases.values(), *self._current.values()):
            upstream.close()


def _part(place: Place) -> Place | Stand:
    plugin, upstream = place.settings.members, place.settings.upstream
    return place if plugin is None or upstream is None else Stand(place, upstream, plugin)
