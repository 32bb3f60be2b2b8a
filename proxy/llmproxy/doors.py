"""The door: who may refuse a request as soon as it is read, before it has a task, a turn, or anything allocated for it.

A request that waits for its turn only to be refused costs twice what it would have at once: its body has left the
processor's caches by then, and takes memory that those need that are served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Iterable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import structlog

from llmproxy.registry import Plugin
from llmproxy.replies import plugin_failed

if TYPE_CHECKING:
    from llmproxy.errors import GatewayError
    from llmproxy.route import Route

_log = structlog.get_logger("llmproxy")

Turn = Coroutine[Any, Any, None]


class Door:
    """What is asked of each request, at the time at which it was read.

    `prompt` says that a refusal waits for nothing on its way out, so that it needs no task.
    """

    def __init__(self, plugin: Plugin[Any], *, prompt: bool) -> None:
        self._plugin = plugin
        self.prompt = prompt

    def ask(self, asked: float) -> GatewayError | None:
        """Return what a request is refused with, or None."""
        try:
            return self._plugin.at_door(asked)
        except Exception as fault:
            _log.error("plugin_failed", plugin=self._plugin.name, hook="at_door", exc_info=fault)
            return plugin_failed(500)


def door_of(routes: Iterable[Route]) -> Door | None:
    """Return the door where one plugin stands first on every route and looks at requests there.

    The route of a request is not known at the door: nothing may be refused there by a plugin that its route does not
    list, or before one that its route lists above that.
    """
    pipelines = [route.pipeline for route in routes]
    firsts = {id(each.plugins[0]): each.plugins[0] for each in pipelines if each.plugins}
    if len(firsts) != 1 or not all(each.plugins for each in pipelines):
        return None
    (first,) = firsts.values()
    if type(first).at_door is Plugin.at_door:
        return None
    return Door(first, prompt=all(each.prompt for each in pipelines))


def at_once(turn: Turn, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
    """Run a turn that is expected to wait for nothing; what waits all the same goes on as the task that is returned."""
    context = copy_context()
    try:
        awaited = context.run(turn.send, None)
    except StopIteration:
        return None
    return loop.create_task(_go_on(turn, awaited), context=context)


class _Rest:
    """What is left of a turn that was begun outside a task."""

    def __init__(self, turn: Turn, awaited: Any) -> None:
        self._turn = turn
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        turn, awaited = self._turn, self._awaited
        try:
            while True:
                try:
                    sent = yield awaited
                except BaseException as fault:  # a cancellation, too, is for the turn to hear
                    awaited = turn.throw(fault)
                else:
                    awaited = turn.send(sent)
        except StopIteration:
            return


async def _go_on(turn: Turn, awaited: Any) -> None:
    await _Rest(turn, awaited)
