"""Numbers that somebody counts for itself, added to a metric when that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmproxy.metrics import Counter


class Growth:
    """Counts that `read` gives by their last label; what they grow by goes into a counter."""

    def __init__(
        self, counter: Counter, labels: tuple[str, ...], read: Callable[[], Mapping[str, int]]
    ) -> None:
        self._counter = counter
        self._labels = labels
        self._read = read
        self._told = dict(read())

    def tell(self) -> None:
        """Add what has been counted since the last time."""
        for name, count in self._read().items():
            grown = count - self._told.get(name, 0)
            if grown > 0:
                self._counter.labels(*self._labels, name).inc(grown)
            self._told[name] = count
