"""The files that hold lists: read at the start, again when they change; one that breaks leaves what it said before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from llmproxy.plugin import Runtime, StartError, WatchedFile
from llmproxy_ipfilter.listing import BadList, read_list
from llmproxy_ipfilter.networks import Networks

POLL_SECONDS: Final = 1.0


class ListFile:
    """One file; `networks` are what it said last. An empty list of who may come in is taken for a mistake."""

    def __init__(self, path: str, *, may_be_empty: bool) -> None:
        self.path = path
        self._file = WatchedFile(Path(path))
        self._may_be_empty = may_be_empty
        self.networks = Networks()

    def load(self) -> None:
        """Read the file.

        Raises:
            StartError: it cannot be read, or is no list.
        """
        try:
            self._take(self._file.read())
        except (OSError, BadList) as fault:
            raise StartError(f"{self.path}: {fault}") from fault

    async def changed(self) -> bool:
        """Read the file again if it changed; whether its list is another now.

        Raises:
            BadList: it is none; the list from before stays.
            OSError: it cannot be read; likewise.
        """
        return await asyncio.to_thread(self._changed)

    def _changed(self) -> bool:
        if not self._file.poll():
            return False
        self._take(self._file.read())
        return True

    def _take(self, data: bytes) -> None:
        intervals = read_list(data)
        if not intervals and not self._may_be_empty:
            raise BadList("holds no network, so nobody could come in")
        self.networks = Networks(intervals)


async def keep_reading(
    files: list[ListFile], runtime: Runtime, changed: Callable[[], None], failed: Callable[[], None]
) -> None:
    """Read files again as they change, until cancelled; a broken one is logged and `failed` told."""
    while True:
        await runtime.clock.sleep(POLL_SECONDS)
        for file in files:
            try:
                if await file.changed():
                    changed()
                    runtime.log.info("ip_list_read", file=file.path, networks=len(file.networks))
            except (OSError, BadList) as fault:
                runtime.log.warning("ip_list_kept", file=file.path, why=str(fault))
                failed()
