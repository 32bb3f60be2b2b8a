"""A route's answers by likeness under verification: which candidate, whether it is served, what is learnt of it.

oversight = Oversight(runtime, "chat", learning(verification), judging)
drawn = oversight.drawn()                        # before the index is asked
best = oversight.best(features, rows)            # of the nearest rows
if best is not None and not drawn and oversight.serves(best): ...
if drawn: oversight.compare(features, best, Comparison(...))   # when the fresh answer is whole; best may be None
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from llmproxy_semantic.doubting import standing
from llmproxy_semantic.features import Features, unpack
from llmproxy_semantic.quarantine import Quarantine, Vetoes
from llmproxy_semantic.reporting import plain
from llmproxy_semantic.verifying import merit

if TYPE_CHECKING:
    from llmproxy.plugin import Metrics, Runtime
    from llmproxy_semantic.index import Row
    from llmproxy_semantic.judging import Comparison, Judging
    from llmproxy_semantic.verifying import Verification


class Candidate(NamedTuple):
    """An answer that may do: its exact key, how much alike the questions are, in which tier."""

    key: bytes
    similarity: float
    tier: int


class Learnt(NamedTuple):
    """What one worker has learnt of one tenant of a route: it outlives reloads."""

    verification: Verification
    quarantine: Quarantine
    vetoes: Vetoes


def learning(verification: Verification) -> Learnt:
    """Begin to learn of a route."""
    return Learnt(verification, Quarantine(), Vetoes())


class Oversight:
    """What one worker does with what it knows of one route."""

    def __init__(self, runtime: Runtime, route: str, learnt: Learnt, judging: Judging) -> None:
        self._route = route
        self.learnt = learnt
        self._verification, self.quarantine, self.vetoes = learnt
        self._judging = judging
        self._log = runtime.log
        self._samples = sample_counter(runtime.metrics)
        self._plugin = runtime.name

    def drawn(self) -> bool:
        """Throw the coin for a request that the exact and the canonical tier do not answer."""
        return self._verification.drawn()

    def best(self, asked: Features, rows: Iterable[Row]) -> Candidate | None:
        """Return the candidate of the most merit, whatever is served now; None where all are ruled out."""
        best: Candidate | None = None
        for row in rows:
            if self.quarantine.holds(row.key) or (asked.form, row.key) in self.vetoes:
                continue
            stored = unpack(row.features)
            tier = "unreadable" if stored is None else standing(asked, stored)
            if isinstance(tier, str):
                continue
            if best is None or merit(row.similarity, tier) > merit(best.similarity, best.tier):
                best = Candidate(row.key, row.similarity, tier)
        return best

    def serves(self, candidate: Candidate) -> bool:
        """Tell whether a candidate may be served."""
        return candidate.similarity >= self._verification.cuts[candidate.tier]

    def compare(self, asked: Features, candidate: Candidate | None, answers: Comparison | None) -> None:
        """Learn of a drawn request; `answers` is None where one of the two is not to be had, which leaves it out."""
        if candidate is None:
            self._count("none")
            self._tell(self._verification.judged())
        elif answers is None:
            self._leave_out()
        else:
            self._judging.judge(answers, lambda same: self._judged(asked, candidate, same=same))

    def _judged(self, asked: Features, candidate: Candidate, *, same: bool | None) -> None:
        if same is None:
            self._leave_out()
            return
        self._count("right" if same else "wrong")
        if not same:
            self._mistrust(asked.form, candidate.key)
        self._tell(self._verification.judged(candidate.similarity, candidate.tier, wrong=not same))

    def reported(self, form: bytes = b"", key: bytes = b"") -> None:
        """Hear from a caller that an entry was no answer to a question of that form; of which, if that is known."""
        if key:
            self._mistrust(form, key)
        self._tell(self._verification.reported())

    def _leave_out(self) -> None:
        self._count("left_out")
        self._verification.left_out()

    def _count(self, outcome: str) -> None:
        self._samples.labels(self._plugin, self._route, outcome).inc()

    def _mistrust(self, form: bytes, key: bytes) -> None:
        self.vetoes.add(form, key)
        self.quarantine.strike(key)

    def _tell(self, change: str) -> None:
        if change:
            self._log.warning("semantic_policy_changed", route=self._route, change=change)

    @property
    def certified(self) -> bool:
        """Whether the promise is borne out."""
        return self._verification.state == "verified"

    def told(self) -> dict[str, Any]:
        """Return what `GET /semantic` tells of the route."""
        told = self._verification.told()
        return plain(told, quarantined=len(self.quarantine), vetoes=len(self.vetoes))


def sample_counter(metrics: Metrics) -> Any:
    """Return the counter of the requests that the coin sent upstream."""
    return metrics.counter(
        "llmproxy_semantic_samples_total",
        "Requests that went upstream to be compared, by what came of it: none (nothing was alike), right, wrong (what"
        " was alike would have been), left_out (nobody can say).",
        ("plugin", "route", "outcome"),
    )
