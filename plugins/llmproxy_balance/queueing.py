"""The line of requests that wait for a place: bounded, fair between tenants, newest first once it stands. Pure.

              who is next                      who is told to go
    calm      the oldest of the next tenant    all after `wait`; where it is full, the newest of the largest tenant
    strained  the newest of the next tenant    all after `target`; where it is full, the oldest of the largest tenant

A line is strained once its oldest has stood for `target` all through an `interval` (CoDel's measure of a standing
queue): serving the oldest would then serve requests whose callers are about to give up, and make all others wait for
nothing. It is calm again once somebody need not wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from llmproxy_balance.limitsettings import QueueSettings

#: Of `target`: how exactly is known when a line began to stand.
_STEPS: Final = 4


class Waiter:
    """One request in the line, of a tenant, since a time and until another."""

    __slots__ = ("since", "tenant", "until")

    def __init__(self, tenant: str, since: float, until: float) -> None:
        self.tenant = tenant
        self.since = since
        self.until = until


W = TypeVar("W", bound=Waiter)


class Line(Generic[W]):
    """Who waits, tenant by tenant. Times are seconds on the gateway's clock, and never go back."""

    def __init__(self, settings: QueueSettings) -> None:
        self.settings = settings
        self.strained = False
        #: All of them, oldest first.
        self._all: dict[W, None] = {}
        #: Each tenant's, oldest first; the first tenant is next.
        self._tenants: dict[str, dict[W, None]] = {}
        self._standing: float | None = None

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, waiter: W) -> bool:
        return waiter in self._all

    def join(self, waiter: W, now: float) -> W | None:
        """Let a request wait; return who must go for that, which may be itself."""
        self._look(now)
        gone = None
        if len(self._all) >= self.settings.length:
            gone = self._whom_to_send_away(waiter)
            if gone is waiter:
                return gone
            self.leave(gone)
        self._all[waiter] = None
        self._tenants.setdefault(waiter.tenant, {})[waiter] = None
        return gone

    def _whom_to_send_away(self, waiter: W) -> W:
        own = self._tenants.get(waiter.tenant, {})
        largest = max(self._tenants.values(), key=len, default=own)
        if len(largest) <= len(own) + 1:
            largest = own
        if self.strained and largest:
            return next(iter(largest))
        return waiter if largest is own else next(reversed(largest))

    def leave(self, waiter: W) -> None:
        """Forget one that waits no longer, for whatever reason; no harm in one that is not there."""
        if waiter not in self._all:
            return
        del self._all[waiter]
        own = self._tenants[waiter.tenant]
        del own[waiter]
        if not own:
            del self._tenants[waiter.tenant]

    def serve(self, takes: Callable[[W], bool], now: float) -> W | None:
        """Take out who is next among those that take the place that is free."""
        self._look(now)
        for tenant, own in self._tenants.items():
            order: Iterable[W] = reversed(own) if self.strained else own
            found = next(filter(takes, order), None)
            if found is not None:
                # The tenant goes to the end of the row.
                self._tenants[tenant] = self._tenants.pop(tenant)
                self.leave(found)
                if not self._all:
                    self.relax()
                return found
        return None

    def relax(self) -> None:
        """Somebody need not wait: there is no more to do than can be done."""
        self.strained = False
        self._standing = None

    def expire(self, now: float) -> list[W]:
        """Take out those whose time is over."""
        self._look(now)
        longest = self.settings.target if self.strained else self.settings.wait
        over = [each for each in self._all if each.until <= now or each.since + longest <= now]
        for each in over:
            self.leave(each)
        return over

    def due(self, now: float) -> float:
        """Return when `expire` should be asked next; the line is not empty."""
        step = now + self.settings.target / _STEPS
        return min(step, *(each.until for each in self._all))

    def _look(self, now: float) -> None:
        """See whether the line stands."""
        oldest = next(iter(self._all), None)
        if oldest is None or now - oldest.since < self.settings.target:
            self._standing = None
            return
        if self._standing is None:
            self._standing = now
        elif now - self._standing >= self.settings.interval:
            self.strained = True
