"""Background tasks that are kept, named and heard when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_running: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Run `work` in the background, keep a reference, and log its fault if it has one."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_done)
    return task


def _done(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (fault := task.exception()) is not None:
        # Imported when it is needed: it is half of what `import llmproxy.plugin` would take.
        import structlog  # noqa: PLC0415

        structlog.get_logger("llmproxy").error(
            "task_failed", task=task.get_name(), fault=type(fault).__name__, exc_info=fault
        )
