"""What became of the latest attempts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmproxy_balance.healthsettings import HealthSettings

_STEPS: Final = 10


class Recent:
    """Good and bad outcomes of the last `window` seconds, forgotten in ten steps."""

    __slots__ = ("_at", "_bads", "_before", "_goods", "_slot", "_step", "bad", "good", "row", "until")

    def __init__(self, window: float) -> None:
        self._step = window / _STEPS
        self._slot = self._at = 0
        #: When the step is over.
        self.until = self._step
        self._goods = [0] * _STEPS
        self._bads = [0] * _STEPS
        self.good = self.bad = 0
        #: The good ones of other steps than this one, whose own are counted when it is over.
        self._before = 0
        #: Bad ones since the last good one.
        self.row = 0

    def count_good(self, now: float) -> None:
        """Count what went well."""
        if now >= self.until:
            self.forget(now)
        self.row = 0
        self.good += 1

    def count_bad(self, now: float) -> None:
        """Count what did not."""
        self.forget(now)
        self._bads[self._at] += 1
        self.row += 1
        self.bad += 1

    def forget(self, now: float) -> None:
        """Forget what is too long ago."""
        slot = int(now / self._step)
        if slot > self._slot:
            self._turn(slot)

    def clear(self) -> None:
        """Forget everything."""
        self._goods = [0] * _STEPS
        self._bads = [0] * _STEPS
        self.good = self.bad = self.row = self._before = 0

    def _turn(self, slot: int) -> None:
        self._goods[self._at] = self.good - self._before
        for gone in range(max(self._slot, slot - _STEPS) + 1, slot + 1):
            place = gone % _STEPS
            self.good -= self._goods[place]
            self.bad -= self._bads[place]
            self._goods[place] = self._bads[place] = 0
        self._before = self.good
        self._slot, self._at = slot, slot % _STEPS
        self.until = (slot + 1) * self._step

    def speaks_against(self, settings: HealthSettings) -> str:
        """Return why an endpoint of such outcomes should rest, "" if it should not."""
        if self.row >= settings.failures:
            return "failures"
        ill = self.total >= settings.volume and self.bad >= settings.ratio * self.total
        return "ratio" if ill else ""

    @property
    def total(self) -> int:
        """All outcomes."""
        return self.good + self.bad
