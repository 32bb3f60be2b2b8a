"""What attempts take of tokens and money before they are sent, kept with their exchange."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llmproxy.plugin import RESERVATIONS
from llmproxy_quota.charging import amounts_of

if TYPE_CHECKING:
    from llmproxy.plugin import Endpoint, Exchange
    from llmproxy_quota.book import Rules
    from llmproxy_quota.bounds import Bound
    from llmproxy_quota.config import QuotaConfig
    from llmproxy_quota.course import Course
    from llmproxy_quota.portions import Portion
    from llmproxy_quota.pricing import Pricing
    from llmproxy_quota.taking import Hold, Taker


class Spending:
    """Says what attempts take, keeps what was taken, and gives it back where nothing was sent."""

    def __init__(
        self, pricing: Pricing, taker: Taker, config: QuotaConfig, wall: Callable[[], float]
    ) -> None:
        self._pricing = pricing
        self._taker = taker
        self._config = config
        self._wall = wall

    def portion(self, exchange: Exchange, rules: Rules, bound: Bound, places: Sequence[Endpoint]) -> Portion:
        """Return what an attempt at one of the places takes."""
        last = rules.last
        if last is not None and last.bound is bound:
            return last.portion
        amounts = amounts_of(self._pricing, exchange, rules.late, bound, places, self._config.unpriced)
        return rules.portion(bound, amounts)

    def keep(self, exchange: Exchange, course: Course, hold: Hold, number: int, bound: Bound) -> None:
        """Keep what was taken for an attempt, and let others see it."""
        course.late[number] = hold
        ends = self._wall() + self._config.lease
        reservation = hold.reservation(ends, bound[:2], f"{exchange.serial}-{number}")
        state = exchange.state
        held = state.get(RESERVATIONS)
        if held is None:
            state[RESERVATIONS] = {number: reservation}
        else:
            held[number] = reservation

    def release(self, course: Course, number: int) -> None:
        """Give back what was taken for an attempt that was not sent."""
        hold = course.late.pop(number, None)
        if hold is not None:
            self._taker.settle(hold, [0] * len(hold.portion.rules))
