"""One model's server: started when it is asked for, by one process at a time, and ended with the one that started it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Final

import orjson

from llmproxy.plugin import Clock, GatewayError, UpstreamError
from llmproxy_local.places import Places, is_held, locked

if TYPE_CHECKING:
    from llmproxy_local.config import ModelSettings

#: The program of the child process.
PROGRAM: Final = Path(__file__).with_name("child.py")

#: Requests that may wait for a start at once; more are refused.
MOST_WAITING: Final = 256
#: Seconds between two looks at a server that is starting, for which a failed start is not tried again, and in which a
#: child must end that was told to.
_TICK: Final = 0.02
_REST: Final = 5.0
_END: Final = 3.0
#: Bytes of the child's log that the gateway's own repeats.
_TAIL: Final = 500

#: Runs work in the background until the gateway stops.
Spawn = Callable[..., Any]


class LocalServer:
    """The server of one model, as one process of the gateway sees it: any of them may have started it."""

    def __init__(
        self, places: Places, settings: ModelSettings, weights: Path, within: float, log: Any, spawn: Spawn
    ) -> None:
        self._places = places
        self._settings = settings
        self._weights = weights
        self._within = within
        self._log = log
        self._spawn = spawn
        self._now = Clock.now
        self._child: subprocess.Popen[bytes] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._key = ""
        self._seen_at = self._fresh_until = self._rests_until = 0.0
        #: Requests that wait for a start.
        self.waiting = 0

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(self._places.socket)

    async def key(self) -> str:
        """Return the key of the server, which serves by then; who asks keeps it from being idle.

        Raises:
            GatewayError: it cannot be started, or too many wait for it.
        """
        if self._now() < self._fresh_until and not self._has_ended():
            return self._key
        if (key := self._look()) is not None:
            return key
        if self.waiting >= MOST_WAITING:
            message = "Too many requests wait for the local model to start."
            raise GatewayError(503, "local_model_busy", message, retry_after=1)
        self.waiting += 1
        try:
            return await self._started()
        finally:
            self.waiting -= 1

    def has_changed(self) -> bool:
        """Whether another server has come, whose key is another."""
        known = self._key
        return self._look() is not None and self._key != known

    async def _started(self) -> str:
        while (key := self._look()) is None:
            if self._now() < self._rests_until:
                message = "The local model could not be started."
                raise UpstreamError("local_model_failed", message, phase="connect", sent=False, status=503)
            if self._starting is None or self._starting.done():
                self._starting = self._spawn(self._start(), name="start")
            # A waiter that leaves must not take the start with it.
            await asyncio.wait([self._starting], timeout=_TICK)
        return key

    def _look(self) -> str | None:
        """Return the key of a server that serves, whoever started it, and say that it was asked for."""
        with locked(self._places.gate) as ours:
            if not ours or not is_held(self._places.alive):
                return None
            try:
                self._key = self._places.ready.read_text(encoding="utf-8")
                os.utime(self._places.ready)
            except OSError:
                return None
        self._seen_at = self._now()
        self._fresh_until = self._seen_at + min(1.0, self._settings.idle / 4)
        return self._key

    def _has_ended(self) -> bool:
        return self._child is not None and self._child.poll() is not None

    async def _start(self) -> None:
        """Start it, unless another process does; a failure is logged, and told to those who ask for a while."""
        with locked(self._places.start) as ours:
            if not ours:
                await asyncio.sleep(_TICK)
                return
            if self._look() is not None:
                return
            await self.stop()
            began = self._now()
            child = self._child = await self._launched()
            # Who waits looks too, and may have seen it first.
            while self._seen_at < began and self._look() is None:
                if self._child is not child:
                    return  # it was stopped meanwhile
                if child.poll() is not None or self._now() - began > self._within:
                    await self._fail(child)
                    return
                await asyncio.sleep(_TICK)
            took = round(self._now() - began, 3)
            self._log.info("local_model_started", model=self._places.name, pid=child.pid, seconds=took)

    async def _launched(self) -> subprocess.Popen[bytes]:
        """Start the process, and end it if this task is ended meanwhile: nobody else would know of it."""
        launching = asyncio.ensure_future(asyncio.to_thread(self._launch))
        try:
            return await asyncio.shield(launching)
        except asyncio.CancelledError:
            await asyncio.to_thread(_end, await launching)
            raise

    async def _fail(self, child: subprocess.Popen[bytes]) -> None:
        """Tell of a start that came to nothing, and have the next one wait."""
        self._rests_until = self._now() + _REST
        code, said = child.poll(), self._said()
        self._child = None
        await asyncio.to_thread(_end, child)
        self._log.error("local_model_failed", model=self._places.name, code=code, said=said)

    def _launch(self) -> subprocess.Popen[bytes]:
        places, settings = self._places, self._settings
        told = {
            "name": places.name,
            "weights": str(self._weights),
            "key": token_urlsafe(32),
            "context": settings.context,
            "parallel": settings.parallel,
            "threads": settings.threads,
            "idle": settings.idle,
            **{kind: str(getattr(places, kind)) for kind in ("socket", "ready", "alive", "gate")},
        }
        places.ready.unlink(missing_ok=True)
        with places.log.open("wb") as log:
            child = subprocess.Popen(  # noqa: S603  # a program of this plugin's, by its path
                [sys.executable, str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the gateway, which drains first
            )
        assert child.stdin is not None
        with suppress(BrokenPipeError):
            # The pipe stays open: its end is how the child learns that this process has ended.
            child.stdin.write(orjson.dumps(told) + b"\n")
            child.stdin.flush()
        return child

    def _said(self) -> str:
        with suppress(OSError):
            return self._places.log.read_bytes()[-_TAIL:].decode("utf-8", "replace").strip()
        return ""

    async def stop(self) -> None:
        """End the child, if this process has one."""
        child, self._child, self._fresh_until = self._child, None, 0.0
        if child is None:
            return
        if child.poll() is not None:
            self._log.info("local_model_ended", model=self._places.name, code=child.returncode)
        await asyncio.to_thread(_end, child)


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        with suppress(OSError):
            child.stdin.close()
    try:
        child.wait(_END)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
