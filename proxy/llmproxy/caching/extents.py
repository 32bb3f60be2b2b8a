"""How full the stores of caches are, and what became of their entries: looked up when somebody asks for metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from llmproxy.caching.growth import Growth
from llmproxy.stores.interface import CountsEvictions, Measured, StoreAway

if TYPE_CHECKING:
    from llmproxy.bus import Bus
    from llmproxy.metrics import Metrics

#: The tier in this process, and the one behind it.
NEAR, FAR = "near", "far"


class Extents:
    """The tiers of one cache's store, for metrics.

    A tier that all workers of the host have open is told by one of them, the first; each tells its own memory.
    """

    def __init__(self, name: str, tiers: Mapping[str, object], metrics: Metrics, bus: Bus | None) -> None:
        self._name = name
        self._tiers = {tier: getattr(store, "inner", store) for tier, store in tiers.items()}
        self._bus = bus
        labels = ("store", "tier")
        self._gauges = (
            metrics.gauge("llmproxy_cache_entries", "Entries that a cache's store holds.", labels),
            metrics.gauge(
                "llmproxy_cache_held_bytes", "Bytes that a cache's store holds, as it counts them.", labels
            ),
            metrics.gauge("llmproxy_cache_limit_bytes", "Bytes that a cache's store may hold.", labels),
        )
        evictions = metrics.counter(
            "llmproxy_cache_evictions_total",
            "Entries that a cache's store gave up, by reason.",
            ("store", "tier", "reason"),
        )
        self._growths = [
            Growth(evictions, (name, tier), partial(_evictions, store))
            for tier, store in self._tiers.items()
            if isinstance(store, CountsEvictions)
        ]

    def tell(self) -> None:
        """Bring the metrics up to date."""
        for growth in self._growths:
            growth.tell()
        first = self._bus is None or all(self._bus.me < peer for peer in self._bus.peers())
        for tier, store in self._measured():
            try:
                extent = store.extent()
            except StoreAway:
                continue
            told = extent[:3] if first or not extent.shared else (0, 0, 0)
            for gauge, value in zip(self._gauges, told, strict=True):
                gauge.labels(self._name, tier).set(value)

    def _measured(self) -> Iterator[tuple[str, Measured]]:
        for tier, store in self._tiers.items():
            if isinstance(store, Measured):
                yield tier, store

    def close(self) -> None:
        """Say that nothing is held any more: what is next counts for itself."""
        for tier, _ in self._measured():
            for gauge in self._gauges:
                gauge.labels(self._name, tier).set(0)


def _evictions(store: CountsEvictions) -> Mapping[str, int]:
    return store.evictions
