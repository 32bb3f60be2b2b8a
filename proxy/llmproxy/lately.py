"""What came lately, remembered without keeping order: a look-up of what is there costs what a dict's costs."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lately(dict[K, V | None]):
    """The last `most` values that were kept or asked for by their keys, at most twice as many.

    ``lately[key]`` is None where nothing is remembered. Two generations: what is asked for comes over into the younger
    one, and what was not asked for when that is full again is forgotten.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._older: dict[K, V | None] = {}

    def __missing__(self, key: K) -> V | None:
        value = self._older.get(key)
        if value is not None:
            self.keep(key, value)
        return value

    def keep(self, key: K, value: V) -> None:
        """Remember a value."""
        if len(self) >= self._most:
            self._older = dict(self)
            super().clear()
        self[key] = value

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self._older = {}
