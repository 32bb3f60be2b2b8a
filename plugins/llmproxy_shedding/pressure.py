"""How far an event loop is behind, and how many requests it may take on while it is. Pure.

    calm       everything is taken on
    strained   no beat has come in time for an `interval`: so many requests a second are taken on as were done lately;
               twice as many each second while beats come in time, less by as much as a beat took that does not
    calm       once nothing had to be refused for a second

A beat is a call that is due every `BEAT` seconds: how late it comes is how long whatever else is due has to wait. That
is what is held at `lag`: a rate of requests alone would not tell what they cost.
"""

from __future__ import annotations

from typing import Final

BEAT: Final = 0.02

#: For each second of punctual beats, and for each second of one that comes late, down to a half at once.
_MORE: Final = 1.0
_LESS: Final = 1.0
#: Requests a second that are taken on in any case.
_LEAST: Final = 1.0
#: Seconds without a refusal after which all is well.
_QUIET: Final = 1.0
#: Seconds that the rate of what is done is an average of, about.
_MEASURED: Final = 0.5


class Pressure:
    """Judges requests as they come; times are seconds on one clock that never goes back."""

    __slots__ = (
        "_beat",
        "_done",
        "_done_rate",
        "_interval",
        "_lag",
        "_refused",
        "_rest",
        "_seen",
        "rate",
        "well",
    )

    def __init__(self, lag: float, interval: float, now: float) -> None:
        self._lag = lag
        self._interval = interval
        #: When the last beat came, and the last that came in time.
        self._beat = now
        self.well = now
        #: Requests a second that are taken on; None while all are.
        self.rate: float | None = None
        self._rest = 0.0
        self._seen = now
        self._refused = now
        self._done = 0
        self._done_rate = 0.0

    def takes(self, now: float) -> bool:
        """Whether a request that came is taken on."""
        rate = self.rate
        if rate is None:
            if now - self.well <= self._interval + BEAT + self._lag:
                return True
            rate = self._strain(now)
        self._rest = min(self._rest + (now - self._seen) * rate, max(1.0, rate * self._lag))
        self._seen = now
        if self._rest >= 1.0:
            self._rest -= 1.0
            return True
        self._refused = now
        return False

    def done(self) -> None:
        """Count a request that was taken on and is over."""
        self._done += 1

    def beat(self, now: float) -> None:
        """Note a beat, due `BEAT` seconds after the last one."""
        passed, self._beat = now - self._beat, now
        part = min(1.0, passed / _MEASURED)
        self._done_rate += part * (self._done / max(passed, 1e-9) - self._done_rate)
        self._done = 0
        punctual = passed - BEAT <= self._lag
        if punctual:
            self.well = now
        if self.rate is None:
            return
        if now - self._refused > _QUIET:
            self.rate = None
        elif punctual:
            self.rate *= 1 + _MORE * passed
        else:
            self.rate = max(_LEAST, self.rate * max(0.5, 1 - _LESS * passed))

    def _strain(self, now: float) -> float:
        self.rate = rate = max(_LEAST, self._done_rate)
        self._rest, self._seen = 0.0, now
        return rate
