"""Whether a request is taken on, by how long it will wait for its turn. Pure.

An event loop reads all that has come, then gives each request its turn: a round. What was taken on in its round before
it is what a request waits for, so that it is known when the request is read; no rate has to be found out. Of one round
as much is taken on as can be begun in the time allowed, and the rest is refused.

    at ease    a request may wait for `interval`: a burst is taken on
    behind     no round was short all through an `interval`: a request may wait for `lag`, until one is

A round is short in which nobody waits for longer than `lag`. What a turn takes is an average of late ones, so the true
wait is looked at when the turn comes: nobody waits for more than twice what is allowed. One call that takes long (of a
plugin, or because another process has the processor) is no queue, and counts for half of `lag`.
"""

from __future__ import annotations

from collections import deque
from typing import Final

#: Turns that their average is of, about.
_TURNS: Final = 8
#: What of a turn counts towards the average: so many times what that is, and so many seconds more.
_MOST: Final = 3
_SOME: Final = 0.001
#: Long calls that are remembered. A round of more of them is long by any measure.
_STALLS: Final = 16


class Pressure:
    """Judges requests; times are seconds on one clock that never goes back."""

    __slots__ = (
        "_asked",
        "_begun",
        "_interval",
        "_lag",
        "_last",
        "_long",
        "_over",
        "_round",
        "_short",
        "_stalls",
        "_taken",
        "_well",
        "turn",
    )

    def __init__(self, lag: float, interval: float) -> None:
        self._lag = lag
        self._interval = max(interval, lag)
        self._short = lag / 2
        #: When the round began, how many were taken on in it, whether it is long, and whether one has had its turn:
        #: then all that was read has, before anything else is.
        self._round = self._well = float("-inf")
        self._taken = 0
        self._long = self._over = False
        #: When a request last had its turn, whether it was begun, and what it takes to begin one, on an average.
        self._last = float("-inf")
        self._begun = False
        self.turn = 0.0
        #: When long calls were over, and what of them does not count.
        self._stalls: deque[tuple[float, float]] = deque(maxlen=_STALLS)
        #: Whether requests are judged when they are read, before they have their turn.
        self._asked = False

    def takes(self, now: float) -> bool:
        """Whether a request is taken on that was read now."""
        self._asked = True
        # Where nobody had a turn for so long, all have left.
        if self._over or now - self._round > self._interval:
            self._begin(now, self._last)
        if self._taken * self.turn > self._allowed(now):
            self._long = True
            return False
        self._taken += 1
        return True

    def begins(self, asked: float, now: float) -> bool:
        """Whether a request is taken on that was read at `asked` and has its turn now."""
        last, self._last, self._over = self._last, now, True
        if asked > last and not self._asked:
            self._begin(asked, last)
        elif asked <= last and self._begun:
            self._note(now, now - last)
        waited = now - asked
        if waited > self._lag:
            waited -= sum(over for ended, over in self._stalls if ended > asked)
            self._long = self._long or waited > self._lag
        self._begun = waited <= self._allowed(now) * (1 + self._asked)
        return self._begun

    def _note(self, now: float, took: float) -> None:
        """Note what a turn took, which was over before this one."""
        if took > self._short:
            self._stalls.append((now, took - self._short))
        # One that takes long says little of those that come.
        self.turn += (min(took, _MOST * self.turn + _SOME) - self.turn) / _TURNS

    def _begin(self, now: float, last: float) -> None:
        """Begin a round, the last turn having been at `last`.

        After a silence nobody waits any more. What was begun in a round may keep the loop for as long again.
        """
        if not self._long or now - last > max(self._interval, 2 * (last - self._round)):
            self._well = now
        self._round, self._taken, self._long, self._over = now, 0, False, False

    def _allowed(self, now: float) -> float:
        return self._interval if now - self._well <= self._interval else self._lag
