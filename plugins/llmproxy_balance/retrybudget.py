"""What stops retry storms: retries in flight are a part of all attempts in flight at most. Pure.

Where all places fail, each request would otherwise become as many as it may make attempts, just when the places can bear
it least (Envoy's retry budgets bound retries by the active requests in the same way). What goes to another place that is
well is no part of a storm, and is not counted.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from llmproxy.plugin import Section


class RetryBudgetSettings(Section, frozen=True):
    """Retries that wait for an answer: `share` of the attempts in flight, but `least` in any case; for each worker."""

    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    least: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 3


class RetryBudget:
    """Counts attempts in flight, and the retries among them."""

    __slots__ = ("_least", "_share", "active", "retrying")

    def __init__(self, settings: RetryBudgetSettings) -> None:
        self._share = settings.share
        self._least = settings.least
        #: Attempts in flight, retries included; counted by who makes them.
        self.active = 0
        self.retrying = 0

    def take(self) -> bool:
        """Begin a retry, if there is room for one; it is over with `give_back`."""
        if self.retrying >= max(self._least, self._share * (self.active + 1)):
            return False
        self.retrying += 1
        return True

    def give_back(self) -> None:
        """End a retry."""
        self.retrying -= 1
