"""What is tried after the first attempt failed, and what the caller gets if nothing helped.

In this order: the same place with another of its keys, if the first was at fault; the same place again, as often as the
configuration says; the places that are meant for such failures; the next places that the strategy named, then those
that are spared; and when all have failed, those again whose failure may have passed, after a wait.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import (
    Attempt,
    Body,
    CallNext,
    Endpoint,
    Exchange,
    Failure,
    GatewayError,
    Place,
    Reply,
    UpstreamError,
    another_key,
    failure_of,
    read_failure,
    says,
)
from llmproxy_balance.retrying import PASSING, goes_elsewhere, is_answer, may_repeat

if TYPE_CHECKING:
    from llmproxy_balance.walking import Terms, Trail, Walker

#: Seconds for an error's body, which says more than its status.
_READ_WITHIN: Final = 1.0
#: Seconds that must be left for another attempt to make sense.
_LEAST: Final = 0.005

#: How much an answer helps the caller: what is wrong with his request most; what is wrong with the gateway's own keys
#: or models little; that a place could not be reached is what is left.
_OF_THE_REQUEST: Final = frozenset({"window", "policy", "invalid_request", "too_large"})
_OF_THE_GATEWAY: Final = frozenset({"authentication", "permission", "quota", "not_found"})

Outcome = Reply | GatewayError


class Detour:
    """One exchange's way on, after its first attempt failed."""

    def __init__(
        self,
        walker: Walker,
        exchange: Exchange,
        trail: Trail,
        order: Iterator[Place],
        terms: Terms,
        *,
        uploaded: bool = False,
    ) -> None:
        self._walker = walker
        self._exchange = exchange
        self._trail = trail
        self._terms = terms
        self._uploaded = uploaded
        #: What the strategy named and was not tried yet; and what is meant for the failures that there were.
        self._rest = order
        self._meant: list[Iterator[Place]] = []
        self._spared = False
        #: The failure with which only places help that are meant for it, and where it happened.
        self._bound: tuple[str, Place] | None = None
        self._tries: dict[Endpoint, int] = {}
        self._again: list[tuple[float, int, Place]] = []
        self._best = Best()

    def heard(self, failed: Iterable[tuple[Place, Failure]]) -> None:
        """Know of places that were tried beside the one that the way goes on from."""
        for place, failure in failed:
            self._note(place, failure)

    async def go(self, place: Place, outcome: Outcome, attempt: Attempt | None, call_next: CallNext) -> Reply:
        """Go on after the `outcome` of an attempt at `place`, if one was made; return the caller's reply."""
        exchange = self._exchange
        while True:
            failure = await self._judge(place, outcome, attempt)
            if failure is None:
                return self._best.instead_of(outcome, exchange)
            self._best.offer(outcome, failure, place.endpoint if attempt is None else attempt.endpoint)
            found = await self._next(place, failure, attempt)
            if found is None:
                return self._best.final(exchange)
            place, retry = found
            self._best.let_go()
            exchange.losses = ()
            number = self._walker.begin(exchange, self._trail, place, retry=retry)
            try:
                outcome = await self._walker.made(exchange, number, call_next, self._trail)
            except GatewayError as fault:
                outcome = fault
            else:
                if outcome.status < 400 or is_answer(exchange, outcome.status):
                    self._walker.answers(self._trail.taken[number])
                    return outcome
            attempt = exchange.attempts[number - 1] if len(exchange.attempts) >= number else None

    async def _judge(self, place: Place, outcome: Outcome, attempt: Attempt | None) -> Failure | None:
        """Return what an attempt failed with; None if no place is to blame."""
        exchange = self._exchange
        failure = await _failure_in(outcome, exchange, self._walker.clock.wall(), self._left())
        if failure is not None and attempt is not None:
            self._trail.failures[attempt.number] = failure
            self._walker.judged(exchange, self._trail, place, attempt, failure)
        return failure

    async def _next(
        self, place: Place, failure: Failure, attempt: Attempt | None
    ) -> tuple[Place, bool] | None:
        """Return where to try next, and whether the retry budget bears it; None if that is nowhere."""
        exchange, walker = self._exchange, self._walker
        left = self._left()
        if len(exchange.attempts) >= exchange.route.most_attempts or (left is not None and left < _LEAST):
            return None
        if not may_repeat(exchange, failure, uploaded=self._uploaded):
            return None
        now = walker.clock.now()
        if (
            attempt is not None
            and another_key(attempt, failure, now)
            and walker.takes(exchange, self._trail, place)
        ):
            return place, False
        if failure.kind == "invalid_request" and failure.phase != "encode":
            return None
        self._note(place, failure)
        meant = walker.line_up.after(failure.kind, exchange, self._trail.pool, self._trail.skipped)
        self._meant.append(meant)
        return await self._same(place) or self._other() or await self._later()

    def _note(self, place: Place, failure: Failure) -> None:
        """Remember what was tried, and when it may be tried again."""
        if not goes_elsewhere(failure):
            # None of the others is better at this, whatever they failed with.
            self._bound = (failure.kind, place)
            self._again.clear()
        if place.endpoint is None:
            return
        tries = self._tries[place.endpoint] = self._tries.get(place.endpoint, 0) + 1
        if failure.kind in PASSING:
            wait = self._walker.backoff.wait(tries, failure)
            if wait <= self._terms.max_wait:
                due = self._walker.clock.now() + wait
                heapq.heappush(self._again, (due, len(self._exchange.attempts), place))

    async def _same(self, place: Place) -> tuple[Place, bool] | None:
        """Wait for the place that just failed, if it may be tried again before the next one is."""
        if place.endpoint is None or self._tries[place.endpoint] > self._terms.retries:
            return None
        found = next((each for each in self._again if each[2] is place), None)
        if found is None:
            return None
        self._again.remove(found)
        heapq.heapify(self._again)
        return await self._wait(found[0], place)

    def _other(self) -> tuple[Place, bool] | None:
        """Return the next place that was not tried yet."""
        while self._meant:
            for place in self._meant[-1]:
                if (found := self._taken(place)) is not None:
                    return found
            self._meant.pop()
        while True:
            for place in self._rest:
                if self._helps(place) and (found := self._taken(place)) is not None:
                    return found
            if self._spared:
                return None
            self._spared = True
            trail = self._trail
            line_up = self._walker.line_up
            self._rest = line_up.order(self._exchange, trail.pool, trail.skipped, line_up.health.spare)

    async def _later(self) -> tuple[Place, bool] | None:
        """Wait for the place that may be tried again first."""
        while self._again:
            due, _, place = heapq.heappop(self._again)
            if (found := await self._wait(due, place)) is not None:
                return found
        return None

    async def _wait(self, due: float, place: Place) -> tuple[Place, bool] | None:
        walker, left = self._walker, self._left()
        wait = due - walker.clock.now()
        if left is not None and wait > left - _LEAST:
            return None
        if wait > 0:
            await walker.clock.sleep(wait)
        return self._taken(place, again=True)

    def _taken(self, place: Place, *, again: bool = False) -> tuple[Place, bool] | None:
        """Take a place for an attempt, with a part of the retry budget where it is one that fails."""
        walker, endpoint = self._walker, place.endpoint
        if endpoint is None or (endpoint in self._tries and not again):
            return None
        retry = again or walker.is_failing(place)
        if retry and not walker.budget.take():
            return None
        if walker.takes(self._exchange, self._trail, place):
            return place, retry
        if retry:
            walker.budget.give_back()
        return None

    def _helps(self, place: Place) -> bool:
        """Whether a place that is meant for no failure may do better than where it happened."""
        if self._bound is None:
            return True
        kind, where = self._bound
        return kind == "window" and self._walker.line_up.is_larger(self._exchange, place, where)

    def _left(self) -> float | None:
        deadline = self._exchange.deadline
        return deadline - self._walker.clock.now() if deadline else None


class Best:
    """The most useful of the answers that were no success; of equals the last."""

    __slots__ = ("_endpoint", "_failure", "_outcome", "_rank")

    def __init__(self) -> None:
        self._rank = 0
        self._outcome: Outcome | None = None
        self._failure: Failure | None = None
        self._endpoint: Endpoint | None = None

    def offer(self, outcome: Outcome, failure: Failure, endpoint: Endpoint | None) -> None:
        """Take the place of what was the best, or be let go."""
        rank = _rank(failure)
        if rank < self._rank:
            _abandon(outcome)
            return
        if self._outcome is not None:
            _abandon(self._outcome)
        self._rank, self._outcome, self._failure, self._endpoint = rank, outcome, failure, endpoint

    def let_go(self) -> None:
        """Hold no connection while something else is tried: what is not whole is told in the gateway's own words."""
        outcome = self._outcome
        if isinstance(outcome, Reply) and isinstance(outcome.body, Body):
            outcome.body.abandon()
            message = f"The upstream failed with status {outcome.status}; its message did not come whole."
            self._outcome = UpstreamError("upstream_failed", message, phase="body", sent=True)

    def instead_of(self, outcome: Outcome, exchange: Exchange) -> Reply:
        """Return what the caller gets where an attempt ended by no place's fault."""
        if self._outcome is not None and isinstance(outcome, GatewayError):
            return self.final(exchange)  # the core, or a plugin, would not have another attempt made
        if isinstance(outcome, Reply):
            return outcome
        raise outcome

    def final(self, exchange: Exchange) -> Reply:
        """Return the best answer, or raise it."""
        outcome = self._outcome
        if isinstance(outcome, Reply):
            exchange.endpoint = self._endpoint
            return outcome
        raise outcome or GatewayError(502, "no_endpoint", "No upstream was chosen for this request.")


def _rank(failure: Failure) -> int:
    if failure.kind in _OF_THE_REQUEST:
        return 4
    if failure.status is None:
        return 1
    return 2 if failure.kind in _OF_THE_GATEWAY else 3


def _abandon(outcome: Outcome) -> None:
    if isinstance(outcome, Reply) and isinstance(outcome.body, Body):
        outcome.body.abandon()


async def _failure_in(
    outcome: Outcome, exchange: Exchange, wall: float, left: float | None
) -> Failure | None:
    """Return what an attempt failed with; an error's body is read within the seconds that are left."""
    said = partial(says, exchange)
    if not isinstance(outcome, Reply):
        return failure_of(outcome, wall=wall, said=said)
    within = _READ_WITHIN if left is None else max(0.0, min(_READ_WITHIN, left))
    return await read_failure(outcome, wall=wall, within=within, said=said)
