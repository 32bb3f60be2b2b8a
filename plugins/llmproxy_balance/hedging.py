"""A second attempt beside the first where that one is slow to begin; the first to answer wins, the other is given up.

It draws on the request's attempts and on the retry budget, as any other attempt does. A stream has answered when its
first output is there. Only what changes nothing is asked twice: calls of models, and safe methods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import Body, GatewayError, Reply, read_failure, says
from llmproxy_balance.retrying import is_answer

if TYPE_CHECKING:
    from llmproxy.plugin import CallNext, Exchange, Place
    from llmproxy_balance.hedgesettings import HedgeSettings
    from llmproxy_balance.walking import Trail, Walker

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

Outcome = Reply | GatewayError


def may_hedge(exchange: Exchange) -> bool:
    """Whether a request may be asked twice at once."""
    if exchange.upgraded or isinstance(exchange.upload, Body):
        return False
    return exchange.model is not None or exchange.request.method in _SAFE


class Race:
    """The attempts of one exchange that run beside each other."""

    def __init__(
        self,
        walker: Walker,
        exchange: Exchange,
        trail: Trail,
        order: Iterator[Place],
        call_next: CallNext,
        settings: HedgeSettings,
    ) -> None:
        self._walker = walker
        self._exchange = exchange
        self._trail = trail
        self._order = order
        self._call_next = call_next
        self._settings = settings
        self._running: dict[asyncio.Task[Reply], Place] = {}
        self._left = settings.most

    async def run(self, place: Place) -> tuple[Place, Outcome]:
        """Return who answered first and his reply; where all failed, the last of them and its failure."""
        self._start(place, retry=False)
        try:
            while True:
                wait = self._settings.wait(place) if self._left else None
                done, _ = await asyncio.wait(self._running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    self._left -= 1
                    place = self._another() or place
                    continue
                for task in done:
                    found, outcome = self._running.pop(task), _outcome(task)
                    if isinstance(outcome, Reply) and self._is_good(outcome):
                        self._exchange.endpoint = found.endpoint
                        return found, outcome
                    if not self._running:
                        return found, outcome
                    await self._judge(found, outcome)
        finally:
            await self._give_up()

    def _start(self, place: Place, *, retry: bool) -> None:
        attempt = self._walker.attempt(self._exchange, place, self._call_next, self._trail, retry=retry)
        self._running[asyncio.ensure_future(attempt)] = place

    def _another(self) -> Place | None:
        """Begin an attempt at the next place, if one is left and may be made."""
        walker, exchange = self._walker, self._exchange
        if len(exchange.attempts) >= exchange.route.most_attempts:
            self._left = 0
            return None
        for place in self._order:
            if place in self._running.values() or not walker.budget.take():
                continue
            if walker.takes(exchange, self._trail, place):
                self._start(place, retry=True)
                return place
            walker.budget.give_back()
        self._left = 0
        return None

    def _is_good(self, reply: Reply) -> bool:
        return reply.status < 400 or is_answer(self._exchange, reply.status)

    async def _judge(self, place: Place, outcome: Outcome) -> None:
        """Have it known what a reply says that nobody will get; what was raised is known."""
        if isinstance(outcome, Reply):
            failure = await read_failure(
                outcome, wall=self._walker.clock.wall(), within=0.2, said=partial(says, self._exchange)
            )
            attempt = next(
                each for each in reversed(self._exchange.attempts) if each.endpoint == place.endpoint
            )
            if failure is not None:
                self._trail.failures[attempt.number] = failure
                self._walker.judged(self._exchange, self._trail, place, attempt, failure)
            _abandon(outcome)

    async def _give_up(self) -> None:
        """End what still runs; its upstream sees the close at once."""
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        for task in running:
            if not task.cancelled() and task.exception() is None:
                _abandon(task.result())


def _outcome(task: asyncio.Task[Reply]) -> Outcome:
    fault = task.exception()
    if fault is None:
        return task.result()
    if isinstance(fault, GatewayError):
        return fault
    raise fault


def _abandon(outcome: Outcome) -> None:
    if isinstance(outcome, Reply) and isinstance(outcome.body, Body):
        outcome.body.abandon()
