"""Asking upstreams whether they are well, while no traffic proves it.

One worker of a host asks for all. Each address is asked once, whatever models are places there, at its own moment of
the interval; what it answers holds for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from llmproxy.plugin import Clock, Endpoint, GatewayError, Pool, Runtime
from llmproxy_balance.health import Health, State
from llmproxy_balance.healthsettings import ProbeSettings
from llmproxy_balance.roll import Roll

#: Part of an interval by which probes come earlier or later, so that they do not march in step.
_SPREAD: Final = 0.1
#: Seconds between two looks at who is due, and how many of them an interval has.
_SHORTEST: Final = 0.02
_LONGEST: Final = 1.0
_LOOKS: Final = 10
#: Probes under way at a time.
_MOST: Final = 64


class Target(NamedTuple):
    """An address: an upstream, or one member of it."""

    upstream: str
    member: str | None


class Course:
    """How the probes of one address go."""

    __slots__ = ("asking", "bad", "due", "good")

    def __init__(self, due: float) -> None:
        self.due = due
        self.asking = False
        self.good = self.bad = 0

    def count(self, *, well: bool) -> None:
        """Count an answer."""
        self.good, self.bad = (self.good + 1, 0) if well else (0, self.bad + 1)


class Probes:
    """Whom to ask when, and what follows. Pure, but for the clock."""

    def __init__(
        self, settings: Mapping[str, ProbeSettings], clock: Clock, random: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._random = random
        self._courses: dict[Target, Course] = {}

    def strangers(self, upstreams: Iterable[str]) -> list[str]:
        """Return the names of those who are to be asked, and are none of these."""
        return sorted(self._settings.keys() - set(upstreams))

    @property
    def pause(self) -> float:
        """Seconds between two looks at who is due."""
        shortest = min(settings.interval for settings in self._settings.values())
        return min(_LONGEST, max(_SHORTEST, shortest / _LOOKS))

    def timeout(self, endpoint: Endpoint) -> float:
        """Return the seconds that an answer may take."""
        return self._settings[endpoint.upstream].timeout

    def path(self, endpoint: Endpoint) -> str:
        """Return what is asked for."""
        return self._settings[endpoint.upstream].path

    def due(self, machines: Iterable[tuple[Endpoint, Health]]) -> list[Endpoint]:
        """Return whom to ask now, of all endpoints that there are; forget the addresses that left."""
        now = self._clock.now()
        found: dict[Target, list[tuple[Endpoint, Health]]] = {}
        for endpoint, health in machines:
            if endpoint.upstream in self._settings:
                found.setdefault(Target(endpoint.upstream, endpoint.member), []).append((endpoint, health))
        for gone in self._courses.keys() - found.keys():
            del self._courses[gone]
        asked: list[Endpoint] = []
        for target, those in found.items():
            settings = self._settings[target.upstream]
            course = self._courses.get(target)
            if course is None:
                # The first ones are spread over a whole interval.
                course = self._courses[target] = Course(now + settings.interval * self._random())
            if now < course.due or course.asking:
                continue
            self._plan(course, settings, now)
            if not all(_proven(health, now) for _, health in those) and len(asked) < _MOST:
                course.asking = True
                asked.append(those[0][0])
        return asked

    def _plan(self, course: Course, settings: ProbeSettings, now: float) -> None:
        spread = _SPREAD * (2 * self._random() - 1)
        course.due = now + settings.interval * (1 + spread)

    def answered(
        self, asked: Endpoint, status: int | None, machines: Iterable[tuple[Endpoint, Health]]
    ) -> None:
        """Let an answer, or None for none, hold for all endpoints of its address."""
        target = Target(asked.upstream, asked.member)
        course, settings = self._courses.get(target), self._settings[asked.upstream]
        if course is None:
            return
        course.asking = False
        course.count(well=_is_good(status, settings))
        now = self._clock.now()
        # Held until two more could have come, so that nobody is held for ever if the probes end.
        seconds = 2 * settings.interval * (1 + _SPREAD) + settings.timeout
        for endpoint, health in machines:
            if (endpoint.upstream, endpoint.member) == target:
                if course.bad >= settings.unhealthy:
                    health.hold(now, seconds)
                elif course.good >= settings.healthy:
                    health.relieve(now)


def _is_good(status: int | None, settings: ProbeSettings) -> bool:
    if status is None:
        return False
    return status in settings.statuses if settings.statuses else status < 400


def _proven(health: Health, now: float) -> bool:
    """Whether traffic alone shows that it is well."""
    health.advance(now)
    health.recent.forget(now)
    return health.state is State.CLOSED and health.recent.good > 0 and health.recent.bad == 0


async def keep_probing(probes: Probes, runtime: Runtime, roll: Roll) -> None:
    """Ask whoever is due, for as long as the generation lasts."""
    told = False
    while True:
        await runtime.clock.sleep(probes.pause)
        for pool in runtime.pools.values():
            roll.adopt(pool)
        if not told and runtime.pools:
            told = True
            if strangers := probes.strangers(_upstreams(runtime.pools.values())):
                runtime.log.warning("probes_of_no_place", upstreams=strangers)
        for endpoint in probes.due(_machines(roll)):
            runtime.spawn(_ask(probes, runtime, roll, endpoint), name="probe")


async def _ask(probes: Probes, runtime: Runtime, roll: Roll, endpoint: Endpoint) -> None:
    status = None
    try:
        status = await runtime.probe(endpoint, probes.path(endpoint), within=probes.timeout(endpoint))
    except (GatewayError, LookupError):
        pass  # no answer, which is one
    finally:
        probes.answered(endpoint, status, _machines(roll))


def _upstreams(pools: Iterable[Pool]) -> list[str]:
    return [each.upstream for pool in pools for each in pool]


def _machines(roll: Roll) -> list[tuple[Endpoint, Health]]:
    return [(endpoint, record.health) for endpoint, record in roll.records.items()]
