"""How attempts end, counted by place; all labels are names of the configuration."""

from __future__ import annotations

from typing import Final

from llmproxy.plugin import CounterChild, Metrics, Place, Pool

#: Places of which is remembered where their good attempts are counted.
_REMEMBERED: Final = 4096


class Meters:
    """The counters of the walk."""

    def __init__(self, metrics: Metrics) -> None:
        self._attempts = metrics.counter(
            "llmproxy_attempts_total",
            "Attempts at the places of pools, by how they ended: ok, a kind of failure, or gone with their caller.",
            ("pool", "place", "outcome"),
        )
        self._good: dict[tuple[str, Place], CounterChild] = {}

    def good(self, pool: Pool, place: Place) -> CounterChild:
        """Return what counts the attempts that were answered, which most are."""
        counter = self._good.get((pool.name, place))
        if counter is None:
            if len(self._good) >= _REMEMBERED:
                self._good.clear()
            counter = self._good[pool.name, place] = self._attempts.labels(pool.name, place.label, "ok")
        return counter

    def count(self, pool: str, place: str, outcome: str) -> None:
        """Count one attempt."""
        self._attempts.labels(pool, place, outcome).value += 1
