"""Aggregations within aggregations: how deep they are, and how many calls they make in all."""

from __future__ import annotations

from typing import Final

from llmproxy.plugin import Exchange, GatewayError, StateKey

_CALLS: Final[StateKey[int]] = StateKey("aggregate-calls")


def admit(exchange: Exchange, calls: int, *, most_calls: int, deepest: int) -> None:
    """Count the calls of one aggregation towards those of the caller's request.

    Raises:
        GatewayError: its route is one that led here (508), or there are too many.
    """
    here, root, depth = exchange.route.name, exchange, 1
    while root.parent is not None:
        root = root.parent
        depth += 1
        if root.route.name == here:
            raise GatewayError(508, "aggregate_loop", "This answer would be made of itself.")
    made = (root.state.get(_CALLS) or 0) + calls
    if depth > deepest or made > most_calls:
        raise GatewayError(508, "aggregate_too_deep", "This answer would take too many calls.")
    root.state[_CALLS] = made
