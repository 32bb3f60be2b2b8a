"""Events as they come, from whichever source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from llmproxy.caches import Purge, PurgeOrder, read_order
from llmproxy_invalidation.naming import EventRule, Rules


class BadEvent(ValueError):
    """The event cannot be understood; nothing was purged."""


class Reader:
    """Reads one source's events: by its rules, or as orders of the purge API where it has none."""

    def __init__(self, rules: Sequence[EventRule], store: str | None = None) -> None:
        self._rules = Rules(rules) if rules else None
        self._store = store

    def read(self, data: bytes) -> PurgeOrder:
        """Return what an event's JSON orders; its purges are empty if no rule applies.

        Raises:
            BadEvent: it is no JSON object, or lacks a field that a rule needs.
            BadRequest: there are no rules, and it is no order.
        """
        if self._rules is None:
            order = read_order(data)
            return order if order.store is not None else order._replace(store=self._store)
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise BadEvent("the event is not JSON") from None
        if not isinstance(event, dict):
            raise BadEvent("the event is no JSON object")
        return PurgeOrder(tuple(self._purges(event)), self._store)

    def read_fields(self, fields: dict[str, Any]) -> PurgeOrder:
        """Return what an event orders that came as fields."""
        return self.read(orjson.dumps(fields))

    def _purges(self, event: dict[str, Any]) -> list[Purge]:
        assert self._rules is not None
        try:
            purges = self._rules.purges(event)
            for purge in purges:
                purge.slots()
        except ValueError as fault:
            raise BadEvent(str(fault)) from fault
        return purges
