"""How attempts end, counted by place; all labels are names of the configuration."""

from __future__ import annotations

from llmproxy.plugin import Metrics


class Meters:
    """The counters of the walk."""

    def __init__(self, metrics: Metrics) -> None:
        self._attempts = metrics.counter(
            "llmproxy_attempts_total",
            "Attempts at the places of pools, by how they ended: ok, a kind of failure, or gone with their caller.",
            ("pool", "place", "outcome"),
        )

    def count(self, pool: str, place: str, outcome: str) -> None:
        """Count one attempt."""
        self._attempts.labels(pool, place, outcome).value += 1
