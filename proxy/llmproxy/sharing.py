"""Things that generations hand on: made once, counted, released with their last user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, TypeVar, cast

from llmproxy.tasks import spawn

T = TypeVar("T")


class _Shared(Generic[T]):
    """One thing in a task of its own, which enters and leaves it: holders come and go in any other."""

    __slots__ = ("_left", "holders", "opened", "task")

    def __init__(self, manager: AbstractAsyncContextManager[T]) -> None:
        self._left = asyncio.Event()
        self.holders = 0
        self.opened: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.task = spawn(self._hold(manager), name="shared")

    async def _hold(self, manager: AbstractAsyncContextManager[T]) -> None:
        try:
            async with manager as thing:
                self.opened.set_result(thing)
                await self._left.wait()
        except asyncio.CancelledError:
            self.opened.cancel()
            raise
        except Exception as fault:
            if self.opened.done():
                raise
            self.opened.set_exception(fault)

    @property
    def leaving(self) -> bool:
        """Whether it is being released or has failed, so that the next user needs another."""
        return self._left.is_set() or self.task.done()

    async def leave(self) -> None:
        """Release the thing, or give up making it."""
        self._left.set()
        if not self.opened.done():
            self.task.cancel()
        await asyncio.wait([self.task])


class SharedPool:
    """Things that outlive a generation: made once a key, counted, released with the last user."""

    def __init__(self) -> None:
        self._entries: dict[object, _Shared[Any]] = {}

    @asynccontextmanager
    async def use(
        self, key: object, factory: Callable[[], AbstractAsyncContextManager[T]]
    ) -> AsyncIterator[T]:
        """Hold the thing called `key`, making it by `factory` if nobody holds it; never two of one key at a time."""
        while (entry := self._entries.get(key)) is not None and entry.leaving:
            await asyncio.wait([entry.task])
            if self._entries.get(key) is entry:
                del self._entries[key]
        if entry is None:
            entry = self._entries[key] = _Shared(factory())
        entry.holders += 1
        try:
            yield cast("T", await asyncio.shield(entry.opened))
        finally:
            entry.holders -= 1
            if entry.holders == 0:
                await entry.leave()
                if self._entries.get(key) is entry:
                    del self._entries[key]

    def holds(self, key: object) -> bool:
        """Whether somebody holds the thing called `key`."""
        return key in self._entries
