"""All routes under verification, as one worker knows them: what is learnt outlives reloads, where nothing changed."""

from __future__ import annotations

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


class Served(NamedTuple):
    """An answer by likeness: of which route, the form of the question, the key of the entry."""

    route: str
    form: bytes
    key: bytes


class Known:
    """What a worker has learnt of all routes, each with what it goes by; and what was served lately, by exchange."""

    def __init__(self) -> None:
        self.routes: dict[str, tuple[object, Learnt]] = {}
        self.served: dict[str, Served] = {}

    def learnt(self, route: str, settings: VerifiedSettings, offline: Cuts, embedder: str) -> Learnt:
        """Return what is known of a route; nothing is, where it is to go by other rules than before."""
        terms = settings.terms, offline, embedder
        found = self.routes.get(route)
        if found is None or found[0] != terms:
            found = self.routes[route] = terms, learning(_verification(settings, offline))
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
    """Has each route's oversight, for one generation."""

    def __init__(
        self, runtime: Runtime, settings: VerifiedSettings, known: Known, offline: Cuts, embedder: str
    ) -> None:
        self._runtime = runtime
        self._settings = settings
        self.known = known
        self._offline = offline
        self._embedder = embedder
        self._judging = Judging(runtime, settings.judge)
        self.routes: dict[str, Oversight] = {}
        self._state = runtime.metrics.gauge(
            "llmproxy_semantic_certified",
            "Workers in which what a route answers by likeness keeps its promise, by what was seen.",
            ("plugin", "route"),
        )

    def of(self, route: str) -> Oversight:
        """Return what oversees a route."""
        found = self.routes.get(route)
        if found is None:
            learnt = self.known.learnt(route, self._settings, self._offline, self._embedder)
            found = self.routes[route] = Oversight(self._runtime, route, learnt, self._judging)
        return found

    def told(self) -> dict[str, Any]:
        """Return what is known of each route that was asked something."""
        return {name: oversight.told() for name, oversight in self.routes.items()}

    def tell(self) -> None:
        """Set what the metrics say."""
        for name, told in self.told().items():
            self._state.labels(self._runtime.name, name).set(told["certified"])

    def report(self, route: str, exchange: str) -> bool:
        """Hear of a wrong answer, by its exchange or only its route; return whether either is known here."""
        served = self.known.served.pop(exchange, None) if exchange else Served(route, b"", b"")
        oversight = None if served is None else self.routes.get(served.route)
        if served is None or oversight is None:
            return False
        oversight.reported(served.form, served.key)
        return True


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
