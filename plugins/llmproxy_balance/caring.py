"""Health in service: kept across reloads, told to metrics, to the log, to other workers; asked for by probes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from llmproxy.plugin import Endpoint, Runtime, SharedServer, StartError, shared_server
from llmproxy_balance.health import State
from llmproxy_balance.healthsettings import HealthSettings
from llmproxy_balance.overview import Overview
from llmproxy_balance.probing import Probes, keep_probing
from llmproxy_balance.roll import OnChange, Record
from llmproxy_balance.sharing import Sharing
from llmproxy_balance.wellbeing import AGEING, Wellbeing


class User(NamedTuple):
    """A generation that uses what is kept: its pools, its settings, and who tells of changes in it."""

    pools: Callable[[], Iterable[str]]
    settings: HealthSettings
    on_change: OnChange


class Kept:
    """What outlives a generation, and the generations that use it."""

    def __init__(self, wellbeing: Wellbeing) -> None:
        self.wellbeing = wellbeing
        self._users: list[User] = []

    def enter(self, user: User) -> None:
        """A generation begins to use it, and has its way from now on."""
        self._users.append(user)
        self._obey(user)

    def leave(self, user: User) -> None:
        """It does no more: the newest of the others has its way, and what none of them has is forgotten."""
        self._users.remove(user)
        if self._users:
            self._obey(self._users[-1])
            self.wellbeing.roll.keep(name for each in self._users for name in each.pools())

    def _obey(self, user: User) -> None:
        self.wellbeing.obey(user.settings)
        self.wellbeing.roll.on_change = user.on_change


class Told:
    """Tells of changes: counters, gauges, log lines, rumours."""

    def __init__(self, runtime: Runtime, wellbeing: Wellbeing, sharing: Sharing) -> None:
        self._runtime = runtime
        self._roll = wellbeing.roll
        self._sharing = sharing
        labels = ("upstream", "model")
        self._states = runtime.metrics.gauge(
            "llmproxy_health_state",
            "Health of an upstream's model: 0 closed, 1 climbing, 2 half open, 3 open; the worst of all workers.",
            labels,
            mode="max",
        )
        self._changes = runtime.metrics.counter(
            "llmproxy_health_changes_total",
            "Changes of health, by what it became and why.",
            (*labels, "to", "cause"),
        )

    def change(self, record: Record, before: State, cause: str) -> None:
        """Tell of one."""
        endpoint, health = record.endpoint, record.health
        self._changes.labels(*_labels(endpoint), health.state.word, cause).inc()
        if health.state is State.OPEN:
            seconds = round(health.until - health.since, 1)
            name = endpoint.member or endpoint.upstream
            self._runtime.log.warning(
                "place_opened", upstream=name, model=endpoint.model, cause=cause, seconds=seconds
            )
            self._sharing.tell(endpoint, well=False)
        elif health.state is State.CLIMBING:
            self._sharing.tell(endpoint, well=True)

    def collect(self) -> None:
        """Bring the gauges up to date; members of one upstream share one, which tells the worst of them."""
        worst: dict[tuple[str, str], State] = {}
        now = self._runtime.clock.now()
        for endpoint, record in self._roll.records.items():
            record.health.advance(now)
            labels = _labels(endpoint)
            worst[labels] = max(worst.get(labels, State.CLOSED), record.health.state)
        for labels, state in worst.items():
            self._states.labels(*labels).set(state)


def _labels(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.upstream, endpoint.model or ""


class Care(NamedTuple):
    """The health of one generation's places, in service."""

    wellbeing: Wellbeing
    overview: Overview


@asynccontextmanager
async def caring(
    runtime: Runtime, settings: HealthSettings, random: Callable[[], float]
) -> AsyncIterator[Care]:
    """Watch over the places' health as long as the block lasts; what is known survives reloads.

    Raises:
        StartError: the store that is to share it is on no server.
    """
    server = None if settings.share is None else await _server(runtime, settings.share)

    @asynccontextmanager
    async def make() -> AsyncIterator[Kept]:
        yield Kept(Wellbeing(settings, runtime.clock, random))

    async with runtime.shared(("health", runtime.name), make) as kept:
        wellbeing = kept.wellbeing
        sharing, overview = Sharing(runtime, wellbeing, server), Overview(runtime, wellbeing.roll)
        told = Told(runtime, wellbeing, sharing)
        sharing.start()
        ends = [overview.start(), runtime.metrics.collect(told.collect), sharing.stop]
        runtime.spawn(_keep_ageing(runtime, wellbeing), name="ageing")
        if settings.probes:
            work = keep_probing(Probes(settings.probes, runtime.clock, random), runtime, wellbeing.roll)
            runtime.spawn(work, name="probes", once_per_host=True)

        user = User(lambda: runtime.pools, settings, told.change)
        kept.enter(user)
        try:
            yield Care(wellbeing, overview)
        finally:
            kept.leave(user)
            for end in ends:
                end()


async def _keep_ageing(runtime: Runtime, wellbeing: Wellbeing) -> None:
    while True:
        await runtime.clock.sleep(AGEING)
        wellbeing.age()


async def _server(runtime: Runtime, store: str) -> SharedServer:
    server = shared_server(await runtime.store(store))
    if server is None:
        raise StartError(
            f"plugin {runtime.name!r}: health.share names store {store!r}, which is not on a Redis or Valkey server"
        )
    return server
