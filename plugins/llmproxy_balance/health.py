"""The health of one endpoint: a state machine. Pure: time and chance are handed in.

    closed     all is well                                       share of the traffic: 1
    open       it rests: nothing is sent there                                         0
    half open  its rest is over: a few trials at a time decide                         0, but for the trials
    climbing   a trial was answered                                                    rises to 1

    closed, climbing --failures in a row, or a share of them, or an outlier--> open, longer each time
    any              --it said when to come back, its key is of no use--> open (parked), until then; told again, longer
    open             --its time is over--> half open
    half open        --a trial is answered--> climbing --in time--> closed
    half open        --a trial fails--> open
    closed           --another worker says that it fails--> half open: one answer denies it, one failure confirms it
    not open         --probes fail--> open, while they do

The last two are soft: nobody is sent there who has another place, but nobody is refused for their sake.

What an attempt says that began before the last opening is no news, and is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from llmproxy_balance.recent import Recent

if TYPE_CHECKING:
    from llmproxy_balance.healthsettings import HealthSettings


class State(IntEnum):
    """Where a machine stands; the greater, the worse."""

    CLOSED = 0
    CLIMBING = 1
    HALF_OPEN = 2
    OPEN = 3

    @property
    def word(self) -> str:
        """Its name as people and metrics read it."""
        return self.name.lower()


#: The share that a place begins to climb with.
FIRST_SHARE: Final = 0.1
#: Part of a rest that chance takes off, so that not all come back at one moment.
JITTER: Final = 0.2
#: Seconds after which a trial that is on its way has probably been answered.
TRIAL: Final = 1.0
#: Seconds that it is left alone at least.
SHORTEST: Final = 0.05

#: Told of each change: the machine, where it stood, and why it moved.
Changed = Callable[["Health", State, str], None]


class Trials:
    """The trials that are on their way, by when they began."""

    def __init__(self) -> None:
        self._begun: list[float] = []

    def have_room(self, now: float, settings: HealthSettings) -> bool:
        """Whether another one may begin; one of which nothing is heard for long does not count any more."""
        while self._begun and self._begun[0] <= now - settings.trial_timeout:
            self._begun.pop(0)
        return len(self._begun) < settings.trials

    def begin(self, now: float) -> None:
        """Count one that begins."""
        self._begun.append(now)

    def end_one(self) -> None:
        """One is over, and says nothing."""
        if self._begun:
            self._begun.pop(0)

    def clear(self) -> None:
        """None of them matters any more."""
        self._begun.clear()

    def wait(self, now: float, settings: HealthSettings) -> float:
        """Return the seconds until there is room again, as far as that can be known."""
        return min(TRIAL, self._begun[0] + settings.trial_timeout - now) if self._begun else 0.0


class Rests:
    """How long the next rest is: longer each time, until health has lasted."""

    def __init__(self) -> None:
        self._openings = 0
        self._closed = -math.inf

    def closed(self, now: float) -> None:
        """It is well again, from now on."""
        self._closed = now

    def begin(self, now: float, rest: float, longest: float, lasting: float | None) -> float:
        """Return the seconds of another rest; it is the first again where health has lasted for `lasting` seconds."""
        if lasting is not None and now - self._closed >= lasting:
            self._openings = 0
        self._openings += 1
        return min(longest, rest * 2.0 ** min(self._openings - 1, 32))


class Health:
    """One endpoint's machine. `now` and `started` are seconds on one clock; `random` gives numbers from 0 to 1.

    `since` is when it came to where it stands, `cause` why; `until` is when its rest is over. `parked` says that it
    asked for that rest itself or its key is of no use, `soft` that it serves where nothing else is left.
    """

    def __init__(self, settings: HealthSettings, random: Callable[[], float], now: float = 0.0) -> None:
        self._settings = settings
        self._random = random
        self.changed: Changed | None = None
        self.state = State.CLOSED
        self.since = now
        self.cause = ""
        self.until = 0.0
        self.opened = -math.inf
        self.parked = self.soft = False
        self.recent = Recent(settings.window)
        self._rests = Rests()
        self._trials = Trials()

    def obey(self, settings: HealthSettings) -> None:
        """Take other settings from now on; what it knows stays, but for outcomes counted over another window."""
        if settings.window != self._settings.window:
            self.recent = Recent(settings.window)
        self._settings = settings

    # What attempts say.

    def succeeded(self, now: float, started: float | None = None) -> None:
        """Hear of a good answer; `started` is when its attempt began, if that is known."""
        if self.state is not State.CLOSED:
            self.advance(now)
            if self._is_old(started) or self.state is State.OPEN:
                return
            if self.state is State.HALF_OPEN:
                self._enter(State.CLOSED if self.soft else State.CLIMBING, now, "answered")
                return
        self.recent.count_good(now)

    def failed(self, now: float, started: float | None = None) -> None:
        """Hear of a failure that speaks against the endpoint."""
        self.advance(now)
        if self._is_old(started) or self.state is State.OPEN:
            return
        if self.state is State.HALF_OPEN:
            self._rest(now, "trial")
            return
        self.recent.count_bad(now)
        if cause := self.recent.speaks_against(self._settings):
            self._rest(now, cause)

    def ended(self, now: float, started: float | None = None) -> None:
        """Hear of an attempt that says nothing, as its caller left: its place among the trials is free."""
        self.advance(now)
        if started is None or started >= self.since:
            self._trials.end_one()

    def park(self, now: float, seconds: float, cause: str) -> None:
        """Leave it alone for so many seconds, as it asked; told again, it is longer, never shorter."""
        self.advance(now)
        until = now + min(max(seconds, SHORTEST), self._settings.longest_park)
        if self.state is not State.OPEN or until > self.until:
            self.until = until
            self._stop(now, cause)
            self.parked = True

    def limit(self, now: float) -> None:
        """Leave it alone as it has too much to do, and did not say for how long."""
        self._shut(now, "rate_limit", self._settings.rest, self._settings.longest_rest)

    def shut(self, now: float, cause: str) -> None:
        """Leave it alone for long, as it will not answer before somebody mends something."""
        self._shut(now, cause, self._settings.park, self._settings.longest_park)

    def _shut(self, now: float, cause: str, rest: float, longest: float) -> None:
        self.advance(now)
        if self.state is State.OPEN and self.parked:
            # Others that were on their way say the same: that is no reason to double it.
            self.until = max(self.until, now + rest)
        else:
            self._open(now, cause, rest, longest)
            self.parked = True

    def eject(self, now: float) -> None:
        """Open it, as others do better; it rests as after failures."""
        self.advance(now)
        if self.state in (State.CLOSED, State.CLIMBING):
            self._rest(now, "outlier")

    # What others say.

    def doubt(self, now: float) -> None:
        """Hear that others see it fail: trials decide, and where nothing else is left, all go there as before."""
        self.advance(now)
        if self.state is State.CLOSED:
            self._enter(State.HALF_OPEN, now, "rumour")
            self.soft = True

    def hold(self, now: float, seconds: float) -> None:
        """Hear that probes see it fail: it is held back for so long, but serves where nothing else is left.

        What failures have opened rests no longer by that: a probe may be as wrong as a rumour.
        """
        self.advance(now)
        if self.state is not State.OPEN:
            self.until = now + seconds
            self._stop(now, "probe")
            self.soft = True
        elif self.soft:
            self.until = max(self.until, now + seconds)

    def relieve(self, now: float) -> None:
        """Hear that others see it well: a trial may go there at once, unless it said itself when to come back."""
        self.advance(now)
        if self.state is State.OPEN and not self.parked:
            self._enter(State.HALF_OPEN, now, "relieved")

    # What may be sent.

    def admits(self, now: float, random: Callable[[], float]) -> bool:
        """Whether one more request may choose it; chance decides while its share climbs."""
        self.advance(now)
        state = self.state
        if state is State.CLIMBING:
            return random() < self.share(now)
        return state is State.CLOSED or (
            state is State.HALF_OPEN and self._trials.have_room(now, self._settings)
        )

    def usable(self, now: float) -> bool:
        """Whether a request may be sent there that has no better place."""
        self.advance(now)
        return (
            self.state < State.HALF_OPEN
            or self.soft
            or (self.state is State.HALF_OPEN and self._trials.have_room(now, self._settings))
        )

    def claim(self, now: float) -> bool:
        """Take a trial's place where one is needed; whether the request may be sent."""
        usable = self.usable(now)
        if usable and self.state is State.HALF_OPEN:
            self._trials.begin(now)
        return usable

    def share(self, now: float) -> float:
        """Return the share of its traffic that it gets, trials not counted."""
        if self.state is not State.CLIMBING:
            return 1.0 if self.state is State.CLOSED else 0.0
        return _climbed(now - self.since, self._settings.climb)

    def hurry(self, now: float) -> bool:
        """Let a trial through though it rests, as nothing else is left; not before the first rest would be over.

        Return whether one may go there now; what asked for its rest itself is left alone.
        """
        self.advance(now)
        if self.state is State.OPEN and not self.parked and now >= self.since + self._settings.rest:
            self._enter(State.HALF_OPEN, now, "hurried")
        return self.usable(now)

    def wait(self, now: float, *, hurried: bool = False) -> float:
        """Return the seconds until it may be tried, 0 if it may be now; likewise where nothing else is left."""
        self.advance(now)
        if self.usable(now):
            return 0.0
        if self.state is State.OPEN:
            rested = self.since + self._settings.rest if hurried and not self.parked else self.until
            return max(0.0, min(self.until, rested) - now)
        return self._trials.wait(now, self._settings)

    def advance(self, now: float) -> None:
        """Do what time alone does."""
        if self.state is State.OPEN:
            if now >= self.until:
                self._enter(State.HALF_OPEN, self.until, "rested")
        elif self.state is State.CLIMBING and now >= self.since + self._settings.climb:
            self._enter(State.CLOSED, self.since + self._settings.climb, "climbed")
            self._rests.closed(self.since)

    def _is_old(self, started: float | None) -> bool:
        return started is not None and started <= self.opened

    def _rest(self, now: float, cause: str) -> None:
        self._open(now, cause, self._settings.rest, self._settings.longest_rest)

    def _open(self, now: float, cause: str, rest: float, longest: float) -> None:
        was_well = self.state is State.CLOSED or (self.state is State.HALF_OPEN and self.soft)
        lasting = self._settings.steady if was_well else None
        seconds = self._rests.begin(now, rest, longest, lasting) * (1 - JITTER * self._random())
        self.until = max(now + seconds, self.until) if self.state is State.OPEN else now + seconds
        self._stop(now, cause)

    def _stop(self, now: float, cause: str) -> None:
        """Stand open from now on."""
        if self.state is not State.OPEN:
            self.opened = now
            self._enter(State.OPEN, now, cause)
        else:
            self.cause = cause

    def _enter(self, state: State, now: float, cause: str) -> None:
        before = self.state
        self.state, self.since, self.cause = state, now, cause
        self.parked = self.soft = False
        self._trials.clear()
        if state in (State.OPEN, State.CLIMBING):
            self.recent.clear()
        if self.changed is not None:
            self.changed(self, before, cause)


def _climbed(seconds: float, climb: float) -> float:
    """Return the share after so many seconds of a climb."""
    done = seconds / climb if climb else 1.0
    return min(1.0, FIRST_SHARE + (1 - FIRST_SHARE) * max(0.0, done))
