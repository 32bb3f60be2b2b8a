"""Faults of a cache's store: nobody's error, so they are counted, and told in the log."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from llmproxy.caching.entry import BadEntry
from llmproxy.stores.interface import StoreAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmproxy.metrics import Metrics

_TOLD_EVERY: Final = 60.0


class StoreFaults:
    """The faults of one store in one worker: each is counted, one a minute is logged with what it follows."""

    def __init__(self, store: str, metrics: Metrics, *, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._clock = clock
        self._told = -_TOLD_EVERY
        self._since = 0
        self._counter = metrics.counter(
            "llmproxy_cache_store_faults_total",
            "Operations on a cache's store that failed, each of them a miss.",
            ("store", "operation", "fault"),
        )

    def add(self, operation: str, fault: Exception) -> None:
        """Count a fault, and tell it unless one was told lately."""
        kind = _kind(fault)
        # What other faults say may quote what was stored.
        self.count(operation, kind, str(fault) if kind == "away" else type(fault).__name__)

    def unopened(self, reason: str) -> None:
        """Count a value whose seal could not be opened, for one of the reasons that there are."""
        kind = "damaged" if reason == "corrupt" else "unopened"
        self.count("get", kind, f"a value could not be opened: {reason}")

    def count(self, operation: str, kind: str, reason: str) -> None:
        """Do so for what raised nothing."""
        self._counter.labels(self._store, operation, kind).inc()
        self._since += 1
        now = self._clock()
        if now - self._told >= _TOLD_EVERY:
            import structlog  # noqa: PLC0415  # plugins' tests import this module, and few stores ever fail

            structlog.get_logger("llmproxy").warning(
                "cache_store_fault",
                store=self._store,
                operation=operation,
                fault=kind,
                reason=reason,
                faults=self._since,
            )
            self._told, self._since = now, 0


def _kind(fault: Exception) -> str:
    if isinstance(fault, StoreAway):
        return "away"
    return "damaged" if isinstance(fault, BadEntry) else "error"
