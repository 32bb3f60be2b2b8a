"""An LMDB environment of which nothing is ever evicted, opened when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import lmdb

from llmproxy.stores.environment import Environment, Transaction
from llmproxy.stores.interface import StoreAway

T = TypeVar("T")


class LateEnvironment:
    """The environment in `directory`; when its map is full, writing fails and the caller's policy decides."""

    def __init__(self, directory: Path, map_size: int, tables: tuple[str, ...]) -> None:
        self._directory = directory
        self._map_size = map_size
        self._tables = tables
        self._env: Environment | None = None

    @property
    def opened(self) -> Environment:
        """The environment, held from now on until it is closed."""
        if self._env is None:
            self._env = Environment.acquire(self._directory, self._map_size, self._tables)
        return self._env

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Do `work` in a write transaction; raise `StoreAway` if it cannot be written."""
        try:
            return self.opened.write(work)
        except lmdb.MapFullError as error:
            raise StoreAway(f"store {self._directory} is full") from error

    def check_readers(self) -> int:
        """Free the reader slots of processes that died, and return how many there were."""
        return 0 if self._env is None else self._env.check_readers()

    def close(self) -> None:
        """Let the environment go, which is opened again when it is used."""
        if self._env is not None:
            self._env.release()
            self._env = None
