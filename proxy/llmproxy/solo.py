"""The link of a worker that has no supervisor: the same duties, done on its own loop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import structlog

from llmproxy.control import Controller, build_or_say_why, drain_in_time, unreadable
from llmproxy.errors import StartError
from llmproxy.filewatch import POLL_SECONDS, Source
from llmproxy.orders import Build, Failed, ReloadResult
from llmproxy.tasks import spawn

_log = structlog.get_logger("llmproxy")


class SoloControl:
    """Signals, file watch, reload and drain for a process that serves alone."""

    def __init__(self, source: Source, drain_timeout: float, controller: Controller) -> None:
        self._source = source
        self._drain_timeout = drain_timeout
        self._controller = controller
        self._generation = self._tried = 1
        self._reloading = asyncio.Lock()
        self._end: asyncio.Future[None]
        self._drain: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SoloControl:
        loop = asyncio.get_running_loop()
        self._end = loop.create_future()
        for number, handle in self._handlers().items():
            loop.add_signal_handler(number, handle)
        if self._source.changed is not None:
            self._watch = spawn(self._watch_file(self._source.changed), name="config-watch")
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in filter(None, [self._watch, self._drain]):
            task.cancel()
        for number in self._handlers():
            asyncio.get_running_loop().remove_signal_handler(number)

    def ready(self) -> None:
        """Nobody has to be told."""

    async def reload(self) -> ReloadResult:
        """Build the config as it is now; swap, or keep what serves and say why."""
        async with self._reloading:
            result = await self._reload()
        if result.ok:
            _log.info("reload_done", generation=result.generation, notes=list(result.notes))
        else:
            _log.error("reload_refused", generation=result.generation, reason=result.reason)
        return result

    async def roll(self) -> ReloadResult:
        """Refuse: there is no other worker to serve meanwhile."""
        return self._refused("a single worker cannot be replaced while it serves; run two or more")

    async def drained(self) -> None:
        """Return when the process was told to drain and has; raise what made a commit fail."""
        await asyncio.shield(self._end)

    def _handlers(self) -> dict[signal.Signals, Callable[[], object]]:
        return {
            signal.SIGTERM: lambda: self._stop(signal.SIGTERM),
            signal.SIGINT: lambda: self._stop(signal.SIGINT),
            signal.SIGHUP: lambda: spawn(self.reload(), name="reload"),
            signal.SIGUSR2: lambda: _log.warning("roll_refused", reason="a single worker"),
        }

    async def _reload(self) -> ReloadResult:
        number = self._tried = self._tried + 1  # a refused number is not used again
        try:
            order = Build(number, self._source.read())
        except OSError as error:
            return self._refused(unreadable(error))
        except StartError as error:
            return self._refused(str(error))
        outcome = await build_or_say_why(self._controller, order)
        if isinstance(outcome, Failed):
            await self._controller.abort(number)
            return self._refused(outcome.reason)
        try:
            await self._controller.commit(number)
        except Exception as fault:
            if not self._end.done():
                self._end.set_exception(fault)
            raise
        self._generation = number
        return ReloadResult(ok=True, generation=number, notes=outcome.notes)

    def _refused(self, reason: str) -> ReloadResult:
        return ReloadResult(ok=False, generation=self._generation, reason=reason)

    async def _watch_file(self, changed: Callable[[], bool]) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if changed():
                await self.reload()

    def _stop(self, number: signal.Signals) -> None:
        if self._drain is not None:
            os._exit(128 + number)  # asked twice: at once
        self._drain = spawn(self._drain_and_end(), name="drain")

    async def _drain_and_end(self) -> None:
        try:
            await drain_in_time(self._controller, self._drain_timeout, handover=False)
        finally:
            if not self._end.done():
                self._end.set_result(None)
