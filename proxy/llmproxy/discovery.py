"""What discovery plugins have in common: a loop that looks again, the pauses after failures, the wait at the start.

class ZoneFile(MemberSource):
    async def look(self) -> Listed:
        return Listed([PoolMember("10.0.0.1", 8080)], again=30.0)

class ZoneFilePlugin(Plugin[ZoneFileConfig]):
    lists_members = True

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
from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.sections import Section
from llmproxy.units import Duration

if TYPE_CHECKING:
    from llmproxy.members import PoolMember
    from llmproxy.runtime import Runtime

#: Seconds before a registry that failed is asked again: the first time, and at most.
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 30.0
#: How much longer a pause may turn out, so that gateways do not ask in step.
_SPREAD: Final = 0.1


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


class MemberSource:
    """Where members are listed.

    Attributes:
        patience: seconds that one look may take; None where it bounds itself.
        longest_pause: seconds between two looks at most, while they fail.
    """

    patience: float | None = 30.0
    longest_pause: float = LONGEST_PAUSE

    async def look(self) -> Listed:
        """Ask, or wait for news, and return the whole list.

        Raises:
            RegistryAway: there is no list now, for the reason that it tells.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of what is held, as nobody looks any more."""


@asynccontextmanager
async def discovering(
    runtime: Runtime, settings: DiscoverySettings, source: MemberSource
) -> AsyncIterator[None]:
    """Keep `runtime.members` as the source lists them, as long as the generation serves."""
    _ = runtime.spawn(_watch(runtime, settings, source), name="discovery")
    if runtime.starting:
        runtime.before_ready(partial(_until_known, runtime), name="members", within=settings.wait)
    else:
        # A generation that replaces another has the time: that one serves meanwhile.
        try:
            async with asyncio.timeout(settings.wait):
                await _until_known(runtime)
        except TimeoutError:
            runtime.log.warning("members_unknown", waited=settings.wait)
    yield


async def _until_known(runtime: Runtime) -> None:
    await runtime.members.known.wait()


async def _watch(runtime: Runtime, settings: DiscoverySettings, source: MemberSource) -> None:
    pause = 0.0
    try:
        while True:
            again = await _look(runtime, settings, source)
            pause = 0.0 if again is not None else min(2 * pause or FIRST_PAUSE, source.longest_pause)
            await runtime.clock.sleep(spread(pause if again is None else again))
    finally:
        await source.close()


async def _look(runtime: Runtime, settings: DiscoverySettings, source: MemberSource) -> float | None:
    """Look once; return when to look again, or None if it failed."""
    try:
        async with asyncio.timeout(source.patience):
            found = await source.look()
        runtime.members.set(found.members, allow_empty=settings.allow_empty)
    except Exception as fault:  # whatever a registry does, it must not end the watching
        reason = "malformed" if isinstance(fault, BadRegistry) else "away"
        runtime.members.keep(_why(fault), reason=reason)
        return None
    return found.again


def _why(fault: Exception) -> str:
    if isinstance(fault, RegistryAway):
        return str(fault)
    return "no answer in time" if isinstance(fault, TimeoutError) else f"failed: {type(fault).__name__}"


def spread(seconds: float) -> float:
    """Return that many seconds or a little more, by chance."""
    return seconds * (1 + _SPREAD * random.random())  # noqa: S311  # nobody gains by guessing it
