"""The walk through a pool: one place after the other, until one answers or there is nothing more to try.

Theory of operation. The first attempt is the usual case and is kept short. Only when it failed does a `Detour` begin,
which knows what was tried. All attempts draw on the exchange's one budget and one deadline; the core refuses what goes
beyond them, and the detour ends before. Whatever it ends with, the caller gets the most useful answer that there was.

An attempt counts in its place's `in_flight` from here until `attempt_done`, which comes when its last byte has come.
Health hears of it once: here, unless its reply was an error whose body says more, which the detour reads.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from llmproxy.plugin import (
    Attempt,
    Body,
    CallNext,
    Clock,
    Endpoint,
    Exchange,
    Failure,
    GatewayError,
    Place,
    Pool,
    Reply,
    Vitals,
    failure_of,
    says,
)
from llmproxy_balance.detour import Detour
from llmproxy_balance.hedging import Race, may_hedge
from llmproxy_balance.lastresort import otherwise
from llmproxy_balance.lineup import LineUp, Skipped
from llmproxy_balance.retrying import PASSING, Backoff, is_answer
from llmproxy_balance.telling import HURRIED

if TYPE_CHECKING:
    from llmproxy_balance.hedgesettings import HedgeSettings
    from llmproxy_balance.highways import Stop
    from llmproxy_balance.limits import Lease, Limits
    from llmproxy_balance.metering import Meters
    from llmproxy_balance.retrybudget import RetryBudget
    from llmproxy_balance.watching import Watcher

#: Endpoints whose last attempt failed, remembered at most.
_MOST_FAILING: Final = 4096


class Terms(NamedTuple):
    """What a route says of failed attempts: tries at the same place, and the longest wait for it."""

    retries: int
    max_wait: float


class Taken(msgspec.Struct, gc=False):
    """An attempt's place, whether the retry budget bears it, its slot where there is a limit; whether it is over."""

    place: Place
    vitals: Vitals
    retry: bool
    lease: Lease | None
    over: bool = False


class Trail(msgspec.Struct):
    """What became of one exchange's attempts: their places by number, and what each failed with.

    `lease` is the slot that was taken for the next attempt, where the place has a limit. `unheard` are attempts whose
    error replies nobody has judged yet; once the walk is `over`, nobody will.
    """

    walker: Walker
    pool: Pool
    lease: Lease | None = None
    taken: dict[int, Taken] = {}
    failures: dict[int, Failure] = {}
    skipped: list[Skipped] = []
    unheard: list[Attempt] = []
    over: bool = False

    def done(self, exchange: Exchange, attempt: Attempt) -> None:
        """Account for an attempt that has ended."""
        self.walker.done(exchange, self, attempt)

    def leave(self) -> None:
        """End the walk: what was not judged so far will not be."""
        self.over = True
        for unheard in self.unheard:
            _pass_over(self.walker.watcher, self, unheard)


def trail_of(exchange: Exchange) -> Trail | None:
    """Return an exchange's own trail, if it came by here."""
    found: Trail | Stop | None = exchange.trail
    return found if found is None or isinstance(found, Trail) else found.unfold(exchange)


#: Tells what holds on an exchange's route.
TermsOf = Callable[[Exchange], Terms]


class Walker:
    """Sends exchanges to the places of their pools."""

    def __init__(
        self,
        line_up: LineUp,
        watcher: Watcher,
        limits: Limits,
        budget: RetryBudget,
        backoff: Backoff,
        clock: Clock,
        meters: Meters,
        terms_of: TermsOf,
    ) -> None:
        self.line_up = line_up
        self.watcher = watcher
        self.limits = limits
        self.budget = budget
        self.backoff = backoff
        self.clock = clock
        self.meters = meters
        self.terms_of = terms_of
        #: Endpoints whose last attempt failed in a way that passes.
        self.failing: set[Endpoint] = set()

    def along(self, line_up: LineUp) -> Walker:
        """Return one that goes by another line-up, and shares all that this one knows."""
        other = copy(self)
        other.line_up = line_up
        return other

    async def walk(
        self, exchange: Exchange, pool: Pool, call_next: CallNext, hedge: HedgeSettings | None = None
    ) -> Reply:
        """Return the reply of the first place that answers, or the most useful one of those that failed.

        Raises:
            GatewayError: what the most useful of them failed with; 503 where none can be tried, 400 where none ever
                can answer such a request.
        """
        trail = exchange.trail = Trail(self, pool)
        try:
            upload = exchange.upload
            order = self.line_up.order(exchange, pool, trail.skipped)
            for place in order:
                if self.takes(exchange, trail, place):
                    break
            else:
                place, order = await otherwise(self, exchange, trail)
            outcome: Reply | GatewayError
            if hedge is not None and may_hedge(exchange):
                race = Race(self, exchange, trail, order, call_next, hedge)
                detour = Detour(self, exchange, trail, order, self.terms_of(exchange))
                return await _raced(race, place, detour, exchange, call_next)
            number = self.begin(exchange, trail, place)
            try:
                outcome = await call_next(exchange)
                if outcome.status < 400 or is_answer(exchange, outcome.status):
                    return outcome
            except GatewayError as fault:
                outcome = fault
            finally:
                if len(exchange.attempts) < number:  # answered or refused before an attempt was made
                    self.give_back(trail.taken[number])
            uploaded = isinstance(upload, Body)
            detour = Detour(self, exchange, trail, order, self.terms_of(exchange), uploaded=uploaded)
            attempt = exchange.attempts[number - 1] if len(exchange.attempts) >= number else None
            return await detour.go(place, outcome, attempt, call_next)
        finally:
            trail.leave()

    def takes(self, exchange: Exchange, trail: Trail, place: Place) -> bool:
        """Take a place for the next attempt, if it may be made there now."""
        endpoint = place.endpoint
        if endpoint is None:
            return False
        if place.settings.limit is None:
            return self.watcher.claim(endpoint)
        lease = self.limits.take(exchange, place)
        if lease is None:
            return False
        if not self.watcher.claim(endpoint):
            lease.release()
            return False
        trail.lease = lease
        return True

    async def made(self, exchange: Exchange, number: int, call_next: CallNext, trail: Trail) -> Reply:
        """Make the attempt that has begun with this number."""
        try:
            return await call_next(exchange)
        finally:
            if len(exchange.attempts) < number:
                self.give_back(trail.taken[number])

    def begin(self, exchange: Exchange, trail: Trail, place: Place, *, retry: bool = False) -> int:
        """Count an attempt from now on, and return its number.

        With `retry` it has taken its part of the retry budget, which it gives back.
        """
        number = len(exchange.attempts) + 1
        vitals = place.vitals
        trail.taken[number] = Taken(place, vitals, retry, trail.lease)
        if trail.lease is not None:
            trail.lease = None
        exchange.endpoint = place.endpoint
        vitals.in_flight += 1
        self.budget.active += 1
        return number

    def give_back(self, taken: Taken) -> None:
        """Give all back, once, that was taken for an attempt that is not made."""
        if not taken.over and taken.place.endpoint is not None:
            self.watcher.unclaim(taken.place.endpoint)
        self.release(taken)

    def answers(self, taken: Taken) -> None:
        """Hear that an attempt has begun to answer well: it is no part of a storm, however long its answer takes."""
        if taken.retry and not taken.over:
            taken.retry = False
            self.budget.give_back()

    def release(self, taken: Taken) -> None:
        """End an attempt's being in flight, once."""
        if taken.over:
            return
        taken.over = True
        taken.vitals.in_flight -= 1
        self.budget.active -= 1
        if taken.retry:
            self.budget.give_back()
        if taken.lease is not None:
            taken.lease.release()

    def done(self, exchange: Exchange, trail: Trail, attempt: Attempt) -> None:
        """Account for an attempt that has ended; to be called from `attempt_done`."""
        taken = trail.taken.get(attempt.number)
        if taken is None:
            return  # made by a plugin listed below
        self.release(taken)
        status = attempt.status
        if status is not None and status >= 400 and not is_answer(exchange, status):
            if trail.over:
                _pass_over(self.watcher, trail, attempt)
            else:
                trail.unheard.append(attempt)  # `judged` comes
            return
        error = attempt.error
        if error is None:
            place = taken.place
            if self.failing:
                self.failing.discard(attempt.endpoint)
            self.meters.good(trail.pool, place).value += 1
            self.watcher.answered(place, attempt)
            return
        failure = failure_of(error, said=partial(says, exchange)) if isinstance(error, Exception) else None
        self.meters.count(trail.pool.name, taken.place.label, "gone" if failure is None else failure.kind)
        late = failure is not None and failure.phase == "total"
        if late and (attempt.committed or HURRIED in exchange.state):
            # Its caller gave the place less time than it has, or took his own to read what it sent.
            failure = None
        self._fell(exchange, attempt, failure)

    def judged(
        self, exchange: Exchange, trail: Trail, place: Place, attempt: Attempt, failure: Failure
    ) -> None:
        """Hear what an error reply says, which `done` could not know."""
        if attempt.status is not None and attempt.status >= 400:
            self.meters.count(trail.pool.name, place.label, failure.kind)
            self._fell(exchange, attempt, failure)

    def _fell(self, exchange: Exchange, attempt: Attempt, failure: Failure | None) -> None:
        if failure is not None and failure.kind in PASSING:
            if len(self.failing) >= _MOST_FAILING:
                self.failing.clear()
            self.failing.add(attempt.endpoint)
        self.watcher.settle(exchange, attempt, failure)

    def is_failing(self, place: Place) -> bool:
        """Whether the last attempt at a place failed in a way that passes."""
        return place.endpoint in self.failing


async def _raced(race: Race, place: Place, detour: Detour, exchange: Exchange, call_next: CallNext) -> Reply:
    """Return the reply of who answers first, or what comes of the detour where all that ran have failed."""
    last, outcome = await race.run(place)
    if isinstance(outcome, Reply) and (outcome.status < 400 or is_answer(exchange, outcome.status)):
        return outcome
    detour.heard(race.failed)
    return await detour.go(last.place, outcome, last.attempt_of(exchange), call_next)


def _pass_over(watcher: Watcher, trail: Trail, attempt: Attempt) -> None:
    """Give a trial back whose error reply nobody will judge any more."""
    if attempt.number not in trail.failures:
        watcher.unclaim(attempt.endpoint)
