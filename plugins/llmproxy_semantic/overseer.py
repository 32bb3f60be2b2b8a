"""All routes under verification, as one worker knows them: what is learnt outlives reloads, where nothing changed.

Each tenant of a route is learnt of by itself: whoever asks much that is easy makes nothing looser for others.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmproxy_semantic.judging import Judging
from llmproxy_semantic.overseeing import Learnt, Oversight, learning
from llmproxy_semantic.verifying import Cuts, Verification

if TYPE_CHECKING:
    from llmproxy.plugin import Runtime
    from llmproxy_semantic.config import VerifiedSettings

#: Answers by likeness that a report may still name.
_MOST_SERVED: Final = 10_000
#: Tenants of routes that are learnt of at once; whoever asked longest ago is forgotten, and is strict again.
_MOST_LEARNT: Final = 256


class Name(NamedTuple):
    """A route, and one of its tenants."""

    route: str
    tenant: str


class Served(NamedTuple):
    """An answer by likeness: of which route, whose, the form of the question, the key of the entry."""

    route: str
    tenant: str
    form: bytes
    key: bytes


class Known:
    """What a worker has learnt of all tenants of routes, each with what it goes by; what was served, by exchange."""

    def __init__(self) -> None:
        self.routes: OrderedDict[Name, tuple[object, Learnt]] = OrderedDict()
        self.served: dict[str, Served] = {}

    def learnt(self, name: Name, settings: VerifiedSettings, offline: Cuts, embedder: str) -> Learnt:
        """Return what is known of a tenant of a route; nothing is, where it is to go by other rules than before."""
        terms = settings.terms, offline, embedder
        found = self.routes.get(name)
        if found is None or found[0] != terms:
            found = self.routes[name] = terms, learning(_verification(settings, offline))
        self.routes.move_to_end(name)
        if len(self.routes) > _MOST_LEARNT:
            self.routes.popitem(last=False)
        return found[1]

    def serve(self, exchange: str, served: Served) -> None:
        """Remember an answer for those who report it."""
        self.served[exchange] = served
        if len(self.served) > _MOST_SERVED:
            del self.served[next(iter(self.served))]


def _verification(settings: VerifiedSettings, offline: Cuts) -> Verification:
    return Verification(
        settings.delta,
        Random(),  # noqa: S311  # which requests are compared is no secret
        coin=(settings.coin, settings.resting),
        offline=offline,
        hit_limit=settings.hit_limit,
        window=settings.window,
    )


class Overseer:
    """Has the oversight of each tenant of a route, for one generation."""

    def __init__(
        self, runtime: Runtime, settings: VerifiedSettings, known: Known, offline: Cuts, embedder: str
    ) -> None:
        self._runtime = runtime
        self._settings = settings
        self.known = known
        self._offline = offline
        self._embedder = embedder
        self._judging = Judging(runtime, settings.judge)
        self.routes: dict[Name, Oversight] = {}
        self._state = runtime.metrics.gauge(
            "llmproxy_semantic_certified",
            "Workers in which what a route answers by likeness keeps its promise, by what was seen of each tenant.",
            ("plugin", "route"),
        )

    def of(self, route: str, tenant: str) -> Oversight:
        """Return what oversees a tenant of a route."""
        name = Name(route, tenant)
        learnt = self.known.learnt(name, self._settings, self._offline, self._embedder)
        found = self.routes.get(name)
        if found is None or found.learnt is not learnt:
            found = self.routes[name] = Oversight(self._runtime, route, learnt, self._judging)
            self._forget()
        return found

    def _forget(self) -> None:
        """Forget whom nothing is known of any more."""
        for name in [name for name in self.routes if name not in self.known.routes]:
            del self.routes[name]

    def told(self) -> dict[str, Any]:
        """Return what is known of each route that was asked something, by tenants where it has several."""
        tenants = Counter(name.route for name in self.routes)
        return {
            name.route if tenants[name.route] == 1 else f"{name.route} of {name.tenant}": oversight.told()
            for name, oversight in self.routes.items()
        }

    def tell(self) -> None:
        """Set what the metrics say."""
        certified: dict[str, bool] = {}
        for name, oversight in self.routes.items():
            certified[name.route] = certified.get(name.route, True) and oversight.certified
        for route, holds in certified.items():
            self._state.labels(self._runtime.name, route).set(holds)

    def report(self, route: str, exchange: str, tenant: str = "") -> bool:
        """Hear of a wrong answer: by its exchange, or only by its route and, where that is known, its tenant.

        Returns whether any of it is known here.
        """
        if exchange:
            served = self.known.served.pop(exchange, None)
            oversight = None if served is None else self.routes.get(Name(served.route, served.tenant))
            if served is None or oversight is None:
                return False
            oversight.reported(served.form, served.key)
            return True
        of = [
            each for name, each in self.routes.items() if name.route == route and tenant in ("", name.tenant)
        ]
        for each in of:
            each.reported()
        return bool(of)


@asynccontextmanager
async def open_overseer(
    runtime: Runtime, settings: VerifiedSettings, offline: Cuts, embedder: str
) -> AsyncIterator[Overseer]:
    """Oversee routes for one generation."""
    async with runtime.shared("semantic-verified", _known) as known:
        overseer = Overseer(runtime, settings, known, offline, embedder)
        end = runtime.metrics.collect(overseer.tell)
        try:
            yield overseer
        finally:
            end()


@asynccontextmanager
async def _known() -> AsyncIterator[Known]:
    yield Known()
