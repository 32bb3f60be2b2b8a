"""Which places of a pool may be chosen now, by what is known of the health of each.

A machine stands for an endpoint, an upstream and the model's name there, whatever pools it is a place of. Machines are
made when a pool is first asked for; those of members that left are kept for a while, in case they come back.

While all are well, a pool's places cost a look-up. What the walk does:

    places = wellbeing.eligible(pool)           # then the strategy's order
    if wellbeing.claim(place.endpoint): ...     # right before an attempt; False: another was quicker, take the next
    wellbeing.answered(place, attempt)      # from `attempt_done`: once for each attempt, this or
    wellbeing.settle(exchange, attempt, failure)
    wellbeing.spare(pool)                       # when all of them failed: places that are held back, but not closed
    wellbeing.until(pool)                       # when there is none at all: for the 503's Retry-After
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from llmproxy.plugin import Attempt, Clock, Endpoint, Exchange, Failure, Place, Pool
from llmproxy_balance.health import Health, State
from llmproxy_balance.healthsettings import HealthSettings, OutlierSettings
from llmproxy_balance.outliers import may_leave, stands_out
from llmproxy_balance.roll import OnChange, Record, Roll, endpoints_of
from llmproxy_balance.verdicts import PARKING, hear_failure, hear_refusal

#: Seconds between two looks at which latencies are old, and what each leaves of those: a half in ten seconds.
AGEING: Final = 1.0
_STALER: Final = 0.5**0.1
#: Seconds below which a latency that was forgotten so far is not known any more.
_KNOWN: Final = 0.001
#: Seconds between two comparisons of one endpoint with the others of its pools.
_COMPARED: Final = 1.0


class Wellbeing:
    """The machines of all endpoints; it outlives the generations of a configuration."""

    def __init__(
        self,
        settings: HealthSettings,
        clock: Clock,
        random: Callable[[], float],
        on_change: OnChange | None = None,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._random = random
        self.roll = Roll(self._healthy)
        self.roll.on_change = on_change
        self._records = self.roll.records
        self.ailing = self.roll.ailing
        self.pools = self.roll.pools

    def _healthy(self) -> Health:
        return Health(self.settings, self._random, self._clock.now())

    def obey(self, settings: HealthSettings) -> None:
        """Take a new generation's settings; what is known stays."""
        self.settings = settings
        for record in (*self._records.values(), *self.roll.gone.values()):
            record.health.obey(settings)

    # What may be chosen.

    def eligible(self, pool: Pool) -> Sequence[Place]:
        """Return the places that may be chosen now: all of them while all are well."""
        places = pool.places
        if self.pools.get(pool.name) is not places:
            self.roll.adopt(pool)
        return self._choose(places) if self.ailing else places

    def _choose(self, places: tuple[Place, ...]) -> Sequence[Place]:
        now = self._clock.now()
        chosen = [place for place in places if self._admits(place, now)]
        if len(chosen) == len(places):
            return places
        # Those that are held back only to be spared serve where there are no others, then those that rest for long.
        # Who waits for the failures of others is nobody to begin with.
        for may in (self._usable, self._hurries):
            if any(not place.settings.after for place in chosen):
                break
            chosen = [
                place for place in places if (place.settings.after and place in chosen) or may(place, now)
            ]
        return chosen

    def spare(self, pool: Pool) -> Sequence[Place]:
        """Return all places that may be tried where those that were eligible have failed."""
        now = self._clock.now()
        return [place for place in pool.places if self._usable(place, now)]

    def last(self, pool: Pool) -> Sequence[Place]:
        """Return all places that may be tried where none of the others answers such a request, resting ones too."""
        now = self._clock.now()
        return [place for place in pool.places if self._hurries(place, now)]

    def claim(self, endpoint: Endpoint) -> bool:
        """Whether an attempt may be made now; it takes a trial's place, if one is needed, until it is settled."""
        if not self.ailing:
            return True
        health = self.ailing.get(endpoint)
        return health is None or health.claim(self._clock.now())

    def unclaim(self, endpoint: Endpoint) -> None:
        """Give a trial's place back: no attempt is made."""
        health = self.ailing.get(endpoint)
        if health is not None:
            health.ended(self._clock.now())

    def until(self, pool: Pool) -> float | None:
        """Return the seconds until a place comes back; None if one may be tried now."""
        now = self._clock.now()
        waits = [
            0.0 if health is None else health.wait(now, hurried=True)
            for endpoint in endpoints_of(place for place in pool.places if not place.settings.after)
            for health in [self.ailing.get(endpoint)]
        ]
        soonest = min(waits, default=0.0)
        return soonest if soonest > 0 else None

    def _admits(self, place: Place, now: float) -> bool:
        if place.pool is not None:
            return self._usable(place, now)
        return self._can(place, lambda health: health.admits(now, self._random))

    def _usable(self, place: Place, now: float) -> bool:
        return self._can(place, lambda health: health.usable(now))

    def _hurries(self, place: Place, now: float) -> bool:
        return self._can(place, lambda health: health.hurry(now))

    def _can(self, place: Place, can: Callable[[Health], bool]) -> bool:
        """Whether a place's endpoint can, or one of a pool's."""
        if place.pool is not None:
            return any(self._can(inner, can) for inner in place.pool.places)
        health = self.ailing.get(place.endpoint) if place.endpoint is not None else None
        return health is None or can(health)

    # What others say.

    def doubt(self, endpoint: Endpoint) -> None:
        """Hear that others see an endpoint fail."""
        if (record := self._records.get(endpoint)) is not None:
            record.health.doubt(self._clock.now())

    def relieve(self, endpoint: Endpoint) -> None:
        """Hear that others see it well."""
        if (record := self._records.get(endpoint)) is not None:
            record.health.relieve(self._clock.now())

    # What attempts say.

    def answered(self, place: Place, attempt: Attempt) -> None:
        """Hear of a good answer, from `attempt_done`: what nearly all attempts come to, in few steps."""
        record = place.vitals
        if isinstance(record, Record):
            started, ended = attempt.started, attempt.ended or self._clock.now()
            record.took((attempt.first_output_at or attempt.headers_at or ended) - started)
            if self.ailing:
                record.health.succeeded(ended, started)
            else:
                record.health.recent.count_good(ended)

    def settle(self, exchange: Exchange, attempt: Attempt, failure: Failure | None) -> None:
        """Hear of an attempt that has ended without a good answer; `failure` is None if no place is to blame."""
        record = self._records.get(attempt.endpoint)
        if record is None:
            return
        ended = attempt.ended or self._clock.now()
        if failure is not None:
            if failure.kind in PARKING:
                hear_refusal(record.health, exchange, attempt, failure, ended)
            else:
                self._failed(record, failure, ended, attempt.started)
        else:
            record.health.ended(ended, attempt.started)

    def note(
        self,
        endpoint: Endpoint,
        failure: Failure | None,
        latency: float | None,
        now: float,
        started: float | None = None,
    ) -> None:
        """Hear how an attempt ended that is no exchange's.

        `latency` is in seconds, of an attempt that went well. Without failure and latency the attempt says nothing: its
        caller left, or was refused by the gateway. `started` is when it began, on the same clock as `now`.
        """
        record = self._records.get(endpoint)
        if record is None:
            return
        if failure is not None:
            self._failed(record, failure, now, started)
        elif latency is None:
            record.health.ended(now, started)
        else:
            record.took(latency)
            record.health.succeeded(now, started)

    def _failed(self, record: Record, failure: Failure, now: float, started: float | None) -> None:
        health = record.health
        hear_failure(health, failure, now, started)
        if health.recent.bad and health.state < State.HALF_OPEN:
            _compare(record, self.roll, self.settings.outliers, now)

    def age(self) -> None:
        """Forget latencies bit by bit that nothing renews; to be called every `AGEING` seconds.

        Otherwise one slow answer would keep a place from ever being chosen again by who chooses the fastest.
        """
        for record in self._records.values():
            latency = record.latency
            if latency is not None and latency == record.aged and not record.in_flight:
                record.latency = latency * _STALER if latency > _KNOWN else None
            record.aged = record.latency

    def began(self, exchange: Exchange) -> None:
        """Hear that an exchange's last attempt has brought its first output: no trial waits for a long stream's end."""
        if self.ailing and exchange.attempts:
            attempt = exchange.attempts[-1]
            health = self.ailing.get(attempt.endpoint)
            good = attempt.ended is None and (attempt.status or 500) < 400
            if health is not None and good and health.state is State.HALF_OPEN:
                health.succeeded(self._clock.now(), attempt.started)


def _compare(record: Record, roll: Roll, settings: OutlierSettings | None, now: float) -> None:
    """Take an endpoint out that does worse than the others of one of its pools."""
    recent = record.health.recent
    if settings is None or now - record.compared < _COMPARED or recent.total < settings.volume:
        return
    record.compared = now
    for pool in record.pools:
        others = [other.health for other in roll.others(record, pool)]
        for health in others:
            health.advance(now)
            health.recent.forget(now)
        out = sum(health.state >= State.HALF_OPEN for health in others)
        better = (health.recent for health in others)
        if may_leave(out, len(others) + 1, settings) and stands_out(recent, better, settings):
            record.health.eject(now)
            return
