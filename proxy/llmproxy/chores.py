"""What has to be done before the gateway says that it is ready: bounded in time, told when it fails, never fatal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple


class Chore(NamedTuple):
    """Work of a plugin's, and how many seconds the gateway waits for it."""

    plugin: str
    name: str
    work: Callable[[], Awaitable[None]]
    within: float


async def do_chores(chores: Iterable[Chore]) -> None:
    """Do all of them at one time; return when each is done, has failed, or was given up."""
    async with asyncio.TaskGroup() as group:
        for chore in chores:
            group.create_task(_do(chore), name=f"{chore.plugin}:{chore.name}")


async def _do(chore: Chore) -> None:
    try:
        async with asyncio.timeout(chore.within):
            await chore.work()
    except TimeoutError:
        _log().warning("chore_given_up", plugin=chore.plugin, chore=chore.name, seconds=chore.within)
    except Exception as fault:
        _log().error("chore_failed", plugin=chore.plugin, chore=chore.name, exc_info=fault)


def _log() -> Any:
    import structlog  # noqa: PLC0415  # whoever imports llmproxy.plugin pays for it otherwise

    return structlog.get_logger("llmproxy")
