"""A small circuit breaker: a store that keeps failing is left alone for a while, then asked once."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class Breaker:
    """Opens after `failures` in a row for `retry_after` s; then lets one probe through at a time.

    Every call that `admits` let in reports its end by exactly one of `succeeded`, `failed` and `abandoned`.
    """

    def __init__(self, failures: int, retry_after: float, *, clock: Callable[[], float] = monotonic) -> None:
        self._limit = failures
        self._retry_after = retry_after
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._probing = False

    @property
    def closed(self) -> bool:
        """Whether nothing has failed since the last success."""
        return not self._failures

    def admits(self) -> bool:
        """Say whether a call may be made now."""
        if self._failures < self._limit:
            return True
        if self._probing or self._clock() < self._open_until:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The store answered: close."""
        self._failures = 0
        self._probing = False

    def failed(self) -> None:
        """The store did not answer."""
        self._failures += 1
        self._probing = False
        self._open_until = self._clock() + self._retry_after

    def abandoned(self) -> None:
        """The caller left before it was known: nothing learnt, the next one may probe."""
        self._probing = False
