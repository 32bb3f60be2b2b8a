"""A second attempt beside the first where that one is slow to begin; the first to answer wins, the other is given up.

It draws on the request's attempts and on the retry budget, as any other attempt does. A stream has answered when its
first output is there. Only what changes nothing is asked twice: calls of models, and safe methods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.plugin import Body, GatewayError, Reply, failure_of, read_failure, says
from llmproxy_balance.retrying import is_answer

if TYPE_CHECKING:
    from llmproxy.plugin import Attempt, CallNext, Exchange, Failure, Place
    from llmproxy_balance.hedgesettings import HedgeSettings
    from llmproxy_balance.walking import Trail, Walker

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

#: Seconds for an error's body while others still run.
_READ_WITHIN: Final = 0.2

Outcome = Reply | GatewayError


def may_hedge(exchange: Exchange) -> bool:
    """Whether a request may be asked twice at once."""
    if exchange.upgraded or isinstance(exchange.upload, Body):
        return False
    return exchange.model is not None or exchange.request.method in _SAFE


class Runner(NamedTuple):
    """A place, and the number of the attempt that is made there."""

    place: Place
    number: int

    def attempt_of(self, exchange: Exchange) -> Attempt | None:
        """Return the attempt, None if it was not made."""
        made = exchange.attempts
        return made[self.number - 1] if len(made) >= self.number else None


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
        self._running: dict[asyncio.Task[Reply], Runner] = {}
        self._left = settings.most
        #: Those that failed before the last one, and with what.
        self.failed: list[tuple[Place, Failure]] = []

    async def run(self, place: Place) -> tuple[Runner, Outcome]:
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
                        self._exchange.endpoint = found.place.endpoint
                        self._walker.answers(self._trail.taken[found.number])
                        return found, outcome
                    if not self._running:
                        return found, outcome
                    await self._judge(found, outcome)
        finally:
            await self._give_up()

    def _start(self, place: Place, *, retry: bool) -> None:
        # Begun at once: a task that is cancelled before its first step never runs, and could give nothing back.
        number = self._walker.begin(self._exchange, self._trail, place, retry=retry)
        attempt = self._walker.made(self._exchange, number, self._call_next, self._trail)
        self._running[asyncio.ensure_future(attempt)] = Runner(place, number)

    def _another(self) -> Place | None:
        """Begin an attempt at the next place, if one is left and may be made."""
        walker, exchange = self._walker, self._exchange
        if len(exchange.attempts) >= exchange.route.most_attempts:
            self._left = 0
            return None
        for place in self._order:
            if any(each.place is place for each in self._running.values()) or not walker.budget.take():
                continue
            if walker.takes(exchange, self._trail, place):
                self._start(place, retry=True)
                return place
            walker.budget.give_back()
        self._left = 0
        return None

    def _is_good(self, reply: Reply) -> bool:
        return reply.status < 400 or is_answer(self._exchange, reply.status)

    async def _judge(self, runner: Runner, outcome: Outcome) -> None:
        """Have it known what one failed with whose answer nobody will get."""
        wall, said = self._walker.clock.wall(), partial(says, self._exchange)
        if isinstance(outcome, Reply):
            failure = await read_failure(outcome, wall=wall, within=_READ_WITHIN, said=said)
            _abandon(outcome)
        else:
            failure = failure_of(outcome, wall=wall, said=said)
        attempt = runner.attempt_of(self._exchange)
        if failure is None or attempt is None:
            return
        self.failed.append((runner.place, failure))
        self._trail.failures[attempt.number] = failure
        self._walker.judged(self._exchange, self._trail, runner.place, attempt, failure)

    async def _give_up(self) -> None:
        """End what still runs; its upstream sees the close at once."""
        running = list(self._running)
        for task, runner in self._running.items():
            task.cancel()
            task.add_done_callback(partial(self._gave_up, runner))
        if running:
            await asyncio.wait(running)
        for task in running:
            if not task.cancelled() and task.exception() is None:
                _abandon(task.result())

    def _gave_up(self, runner: Runner, task: asyncio.Task[Reply]) -> None:
        if runner.attempt_of(self._exchange) is None:
            self._walker.give_back(self._trail.taken[runner.number])


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
