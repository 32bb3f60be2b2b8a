"""What outlives a generation, and the service that other plugins get."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Journal:
    """Who was called, in order; opened once a process."""

    opened = 0

    def __init__(self) -> None:
        self.calls: list[str] = []

    def note(self, call: str) -> None:
        self.calls.append(call)

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Journal]:
        cls.opened += 1
        yield cls()
        cls.opened -= 1


class Almanac:
    """The service that AtlasPlugin provides."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
