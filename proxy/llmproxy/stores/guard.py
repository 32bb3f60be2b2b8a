"""Calls to a store that is elsewhere: each ends in time, and none is made while it is known to be away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, ParamSpec, TypeVar

from llmproxy.stores.breaker import Breaker
from llmproxy.stores.interface import StoreAway

P = ParamSpec("P")
T = TypeVar("T")

Faults = tuple[type[Exception], ...]

#: Turns of the loop that an answer still has when its time is over. If it was this process that was busy, the answer
#: is there and has only not been read: a store must not be taken for away because of that.
_GRACE: Final = 3


class Guard:
    """Bounds calls by `timeout` s and a breaker.

    Exceptions among `answers` show that the store is there and pass; all others become `StoreAway`, for what answers
    at a store's address may be no such store, and make its client stumble in any way.
    """

    def __init__(self, name: str, timeout: float, breaker: Breaker, *, answers: Faults) -> None:
        self._name = name
        self._timeout = timeout or None
        self._breaker = breaker
        self._answers = answers

    async def call(self, work: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await ``work(*args, **kwargs)``.

        Raises:
            StoreAway: it did not answer in time or failed, or has failed too often to be asked now.
        """
        if not self._breaker.admits():
            raise StoreAway(f"store {self._name} is away; it will be asked again shortly")
        task = asyncio.current_task()
        cancelled = task.cancelling() if task is not None else 0
        try:
            async with asyncio.timeout(None) as limit:
                timer = self._limit(limit)
                try:
                    result = await work(*args, **kwargs)
                finally:
                    if timer is not None:
                        timer.cancel()
            if task is not None and task.cancelling() > cancelled:
                # redis-py loses a cancellation that comes before it first waits; its caller is gone all the same.
                raise asyncio.CancelledError
        except self._answers:
            self._breaker.succeeded()
            raise
        except Exception as error:
            self._breaker.failed()
            raise StoreAway(f"store {self._name} failed: {type(error).__name__}") from error
        except BaseException:
            self._breaker.abandoned()
            raise
        self._breaker.succeeded()
        return result

    def _limit(self, limit: asyncio.Timeout) -> asyncio.TimerHandle | None:
        if self._timeout is None:
            return None
        loop = asyncio.get_running_loop()
        return loop.call_later(self._timeout, _end, loop, limit, _GRACE)


def _end(loop: asyncio.AbstractEventLoop, limit: asyncio.Timeout, turns: int) -> None:
    """End the wait, so many turns of the loop from now, if it is still going on then."""
    if turns:
        loop.call_soon(_end, loop, limit, turns - 1)
        return
    with suppress(RuntimeError):  # it is over by now
        limit.reschedule(0)
