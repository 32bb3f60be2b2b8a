"""A route's answers by likeness under verification: which candidate, whether it is served, what is learnt of it.

oversight = Oversight("chat", Verification(0.01, Random()), judging, log)
drawn = oversight.drawn()                        # before the index is asked
best = oversight.best(features, rows)            # of the nearest rows
if best is not None and not drawn and oversight.serves(best): ...
if drawn: oversight.compare(features, best, Comparison(...))   # when the fresh answer is whole; best may be None
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from llmproxy_semantic.doubting import standing
from llmproxy_semantic.features import Features
from llmproxy_semantic.quarantine import Quarantine, Vetoes
from llmproxy_semantic.reporting import plain
from llmproxy_semantic.verifying import merit

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from llmproxy_semantic.index import Row
    from llmproxy_semantic.judging import Comparison, Judging
    from llmproxy_semantic.verifying import Verification

_decode: Final = msgspec.msgpack.Decoder(Features).decode


class Candidate(NamedTuple):
    """An answer that may do: its exact key, how much alike the questions are, in which tier."""

    key: bytes
    similarity: float
    tier: int


class Oversight:
    """What one worker knows of one route."""

    def __init__(
        self, route: str, verification: Verification, judging: Judging, log: FilteringBoundLogger
    ) -> None:
        self._route = route
        self._verification = verification
        self._judging = judging
        self._log = log
        self.quarantine = Quarantine()
        self.vetoes = Vetoes()

    def drawn(self) -> bool:
        """Throw the coin for a request that the exact and the canonical tier do not answer."""
        return self._verification.drawn()

    def best(self, asked: Features, rows: Iterable[Row]) -> Candidate | None:
        """Return the candidate of the most merit, whatever is served now; None where all are ruled out."""
        best: Candidate | None = None
        for row in rows:
            if self.quarantine.holds(row.key) or (asked.form, row.key) in self.vetoes:
                continue
            tier = standing(asked, _decode(row.features))
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
            self._tell(self._verification.judged())
        elif answers is None:
            self._verification.left_out()
        else:
            self._judging.judge(answers, lambda same: self._judged(asked, candidate, same=same))

    def _judged(self, asked: Features, candidate: Candidate, *, same: bool | None) -> None:
        if same is None:
            self._verification.left_out()
            return
        if not same:
            self._mistrust(asked, candidate.key)
        self._tell(self._verification.judged(candidate.similarity, candidate.tier, wrong=not same))

    def reported(self, asked: Features, key: bytes) -> None:
        """Hear from a caller that an entry was no answer to a question."""
        self._mistrust(asked, key)
        self._tell(self._verification.reported())

    def _mistrust(self, asked: Features, key: bytes) -> None:
        self.vetoes.add(asked.form, key)
        self.quarantine.strike(key)

    def _tell(self, change: str) -> None:
        if change:
            self._log.warning("semantic_policy_changed", route=self._route, change=change)

    def told(self) -> dict[str, Any]:
        """Return what `GET /semantic` tells of the route."""
        told = self._verification.told()
        return plain(told, quarantined=len(self.quarantine), vetoes=len(self.vetoes))
