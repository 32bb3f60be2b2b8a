"""The file that lists members, looked at by polling."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from llmproxy.plugin import BadRegistry, Listed, MemberSource, PoolMember, RegistryAway, WatchedFile
from llmproxy_discovery_file.config import FileConfig
from llmproxy_discovery_file.reading import read_members

#: Bytes of a file.
_LARGEST: Final = 4 * 1024 * 1024


class ListingFile(MemberSource):
    """One file; it is read again when it holds something else, and has stood still for one look."""

    def __init__(self, config: FileConfig) -> None:
        self._path = Path(config.path)
        self._file = WatchedFile(self._path)
        self._interval = self.longest_pause = config.interval
        self._members: list[PoolMember] | None = None
        self._fault: RegistryAway | None = None
        self._read = False

    async def look(self) -> Listed:
        """Return what the file lists; raise what is wrong with it as long as it is."""
        # In a thread, as the file may be on a server that is away.
        await asyncio.to_thread(self._look)
        if self._fault is not None:
            raise self._fault
        return Listed(self._members or (), self._interval)

    def _look(self) -> None:
        if self._read and not self._file.poll() and self._path.exists():
            return
        try:
            data = self._file.read()
            self._read = True
            if len(data) > _LARGEST:
                raise BadRegistry(f"larger than {_LARGEST} bytes")
            self._members, self._fault = read_members(data, json=self._path.suffix == ".json"), None
        except RegistryAway as fault:
            self._fault = type(fault)(f"{self._path}: {fault}")
        except OSError as fault:
            self._read = False
            self._fault = RegistryAway(f"{self._path}: {fault.strerror or 'cannot be read'}")
