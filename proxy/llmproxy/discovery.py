"""What discovery plugins have in common: a loop that looks again, the pauses after failures, the wait at the start.

class ZoneFile:
patience = 5.0

async def look(self) -> Listed: ...

@hookimpl
@asynccontextmanager
async def lifespan(self, runtime):
async with discovering(runtime, self.config, ZoneFile()):
yield
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from llmproxy.sections import Section
from llmproxy.units import Duration

if TYPE_CHECKING:
    from llmproxy.members import PoolMember
    from llmproxy.runtime import Runtime

#: Seconds before a registry that failed is asked again: the first time, and at most.
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 30.0
#: How much shorter a pause may turn out, so that gateways do not ask in step.
_SPREAD: Final = 0.2


class DiscoverySettings(Section, frozen=True):
    """What every discovery plugin may be told.

    `allow_empty` believes a registry that lists nobody; otherwise the last list stays. `wait` is how long the gateway
    waits for the first list before it says that it is ready. `timeout` is for one question to the registry.
    """

    allow_empty: bool = False
    wait: Duration = 5.0
    timeout: Duration = 5.0


class Listed(NamedTuple):
    """The whole list, and the seconds after which to look again; 0 if looking waits for news by itself."""

    members: Iterable[PoolMember]
    again: float


class RegistryAway(Exception):
    """The registry cannot be asked or refuses; the message is logged, so it holds no secret."""


class BadRegistry(RegistryAway):
    """What the registry answers cannot be understood."""


class Source(Protocol):
    """Where members are listed."""

    @property
    def patience(self) -> float:
        """Seconds that one look may take."""

    async def look(self) -> Listed:
        """Ask, or wait for news, and return the whole list.

        Raises:
            RegistryAway: there is no list now, for the reason that it tells.
        """


@asynccontextmanager
async def discovering(runtime: Runtime, settings: DiscoverySettings, source: Source) -> AsyncIterator[None]:
    """Keep `runtime.members` as the source lists them, as long as the generation serves."""
    watching = runtime.spawn(_watch(runtime, settings, source), name="discovery")
    if runtime.starting:
        runtime.before_ready(partial(_until_known, runtime), name="members", within=settings.wait)
    else:
        # A generation that replaces another has the time: that one serves meanwhile.
        try:
            async with asyncio.timeout(settings.wait):
                await runtime.members.known.wait()
        except TimeoutError:
            runtime.log.warning("members_unknown", waited=settings.wait)
    try:
        yield
    finally:
        if watching is not None:
            watching.cancel()


async def _until_known(runtime: Runtime) -> None:
    await runtime.members.known.wait()


async def _watch(runtime: Runtime, settings: DiscoverySettings, source: Source) -> None:
    members, pause = runtime.members, 0.0
    while True:
        try:
            async with asyncio.timeout(source.patience):
                found = await source.look()
            members.set(found.members, allow_empty=settings.allow_empty)
        except Exception as fault:  # whatever a registry does, it must not end the watching
            members.keep(_why(fault), reason="malformed" if isinstance(fault, BadRegistry) else "away")
            pause = min(2 * pause, LONGEST_PAUSE) or FIRST_PAUSE
            await runtime.clock.sleep(spread(pause))
        else:
            pause = 0.0
            await runtime.clock.sleep(spread(found.again))


def _why(fault: Exception) -> str:
    if isinstance(fault, RegistryAway):
        return str(fault)
    return "no answer in time" if isinstance(fault, TimeoutError) else f"failed: {type(fault).__name__}"


def spread(seconds: float) -> float:
    """Return a little less than that many seconds, by chance."""
    return seconds * (1 - _SPREAD * random.random())  # noqa: S311  # nobody gains by guessing it
