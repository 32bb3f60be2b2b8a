"""Does what events order, and counts what came of it."""

from __future__ import annotations

from collections.abc import Callable

from llmproxy.caches import PurgeOrder, PurgeOutcome
from llmproxy.plugin import GatewayError, Runtime
from llmproxy_invalidation.events import BadEvent


class Obeying:
    """Purges as one source of events orders it."""

    def __init__(self, runtime: Runtime, source: str) -> None:
        self._runtime = runtime
        self._source = source
        self._events = runtime.metrics.counter(
            "llmproxy_invalidation_events_total",
            "Events that purge, by where they came from and what came of them.",
            ("plugin", "source", "result"),
        )

    async def obey(self, order: PurgeOrder) -> PurgeOutcome | None:
        """Purge what is ordered; None if nothing is, or nothing is cached.

        Raises:
            GatewayError: the order names a store that is no cache.
        """
        if not order.purges:
            self._count("ignored")
            return None
        try:
            outcome = await self._runtime.purge(*order.purges, store=order.store)
        except GatewayError as fault:
            self._count("no_cache")
            if fault.code == "no_cache" and order.store is None:
                return None
            raise
        self._count("purged" if outcome.everywhere else "purged_here_only")
        return outcome

    async def try_to(self, read: Callable[[], PurgeOrder]) -> bool:
        """Obey an event that nobody waits for; False if it should come again."""
        try:
            outcome = await self.obey(read())
        except (BadEvent, GatewayError) as fault:
            self.refused(fault)
            return True
        return outcome is None or outcome.everywhere

    def refused(self, fault: Exception) -> None:
        """Count an event that cannot be understood, and tell why; never what is in it."""
        self._count("refused")
        self._runtime.log.warning("event_refused", source=self._source, reason=str(fault)[:300])

    def away(self, fault: Exception) -> None:
        """Tell that a source cannot be reached."""
        self._runtime.log.warning("event_source_away", source=self._source, fault=type(fault).__name__)

    def _count(self, result: str) -> None:
        self._events.labels(self._runtime.name, self._source, result).inc()
