"""What is counted though the exchange made no call for it: an answer that a cache had, a batch that came to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.plugin import is_charged, reserving
from llmproxy_quota.charging import charge_found, charge_shared
from llmproxy_quota.course import Course
from llmproxy_quota.portions import Portion, portion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmproxy.plugin import Exchange, Secondhand, StateKey
    from llmproxy_quota.book import Book, Rule
    from llmproxy_quota.pricing import Pricing
    from llmproxy_quota.taking import Taker


class Uncalled:
    """Takes and settles it; `course` is where an exchange keeps what it took."""

    def __init__(self, book: Book, pricing: Pricing, taker: Taker, course: StateKey[Course]) -> None:
        self._book = book
        self._pricing = pricing
        self._taker = taker
        self._course = course

    async def take(self, exchange: Exchange, mode: reserving.Mode | None = None) -> None:
        """Take what a kept answer is charged, in the mode of each limit, or in this one.

        Raises:
            GatewayError: something does not fit, or the limits cannot be read.
        """
        rules = self._rules(exchange)
        amounts = charge_shared(self._pricing, exchange, rules)
        if any(amounts):
            wanted = self._portion(exchange, rules, amounts, mode)
            course = exchange.state.get(self._course)
            if course is None:
                course = exchange.state[self._course] = Course()
            course.late = {1: await self._taker.take(wanted, noted=False)}

    async def settle(self, exchange: Exchange) -> None:
        """Settle it; where nobody could ask before the answer left, it is counted now, whatever the limits say."""
        course = exchange.state.get(self._course)
        if is_charged(exchange) and (course is None or not course.late):
            await self.take(exchange, "shadow")
            course = exchange.state.get(self._course)
        if course is not None and (hold := course.late.pop(1, None)) is not None:
            self._taker.settle(hold, charge_shared(self._pricing, exchange, hold.portion.rules))

    async def count(self, exchange: Exchange, found: Secondhand) -> None:
        """Count what an earlier call came to, whatever the limits say: a batch, an answer in the background."""
        rules = self._rules(exchange)
        amounts = charge_found(self._pricing, exchange, rules, found)
        if any(amounts):
            taken = await self._taker.take(self._portion(exchange, rules, amounts, "shadow"), noted=False)
            self._taker.settle(taken, amounts)

    def _rules(self, exchange: Exchange) -> tuple[Rule, ...]:
        return () if exchange.route.models is None else self._book.rules_of(exchange).late

    def _portion(
        self, exchange: Exchange, rules: Sequence[Rule], amounts: Sequence[int], mode: reserving.Mode | None
    ) -> Portion:
        wants = [
            reserving.Want(rule.limit, amount, mode or rule.config.mode)
            for rule, amount in zip(rules, amounts, strict=True)
        ]
        return portion(self._book.rules_of(exchange).tag, rules, tuple(wants))
