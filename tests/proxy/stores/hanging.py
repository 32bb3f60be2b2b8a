"""Servers that hang for a while, and what their stores give meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from llmproxy.stores import StoreAway
from llmproxy.tasks import spawn


@contextmanager
def hung(pid: int) -> Iterator[None]:
    """Have a process do nothing for the length of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        # The signal is taken a moment later, by each thread for itself.
        while any(stat.read_text().rpartition(")")[2].split()[0] != "T" for stat in _threads(pid)):
            time.sleep(0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _threads(pid: int) -> Iterator[Path]:
    return Path(f"/proc/{pid}/task").glob("*/stat")


async def outcome(work: Awaitable[Any]) -> object:
    """Return what a store gives, or how it is away."""
    try:
        return await work
    except StoreAway as fault:
        return fault


async def when_back(ask: Callable[..., Awaitable[Any]], *values: object) -> Any:
    """Ask a store until it is no longer away."""
    while True:
        with suppress(StoreAway):
            return await ask(*values)
        await asyncio.sleep(0.01)


async def assert_nobody_gets_anothers_answer(store: Any, pid: int) -> None:
    """Let calls time out or be cancelled while the server hangs, and see what those who come after it are given."""
    names = [b"%d" % number for number in range(50)]
    for name in names:
        await when_back(store.set, name, name)
    for _ in range(3):
        with hung(pid):
            calls = [spawn(outcome(store.get(name)), name="get") for name in names[:20]]
            await asyncio.sleep(0.02)
            for call in calls[::2]:
                call.cancel()
            await asyncio.wait(calls)
        await asyncio.sleep(0.02)

        for name in names:
            assert await when_back(store.get, name) == name
