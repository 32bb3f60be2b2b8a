"""The semantic tier: among the questions of one partition, those whose vectors are near and that no guard objects to.

What is looked up is decided here: whether a question may be matched at all, which rows come near, which guard speaks
against them, how near they must be for how many words they share. What embeds and what keeps rows stand beside it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import Kin
from llmproxy_semantic.eligibility import why_not
from llmproxy_semantic.features import LONGEST, MOST_WORDS, Features, features_of, pack, unpack
from llmproxy_semantic.guards import GUARDS, objection
from llmproxy_semantic.slips import mended
from llmproxy_semantic.tiers import tier_of

if TYPE_CHECKING:
    from llmproxy.plugin import Answered, Asked, CacheSpace, Metrics, Runtime
    from llmproxy_semantic.embedder import Vector
    from llmproxy_semantic.embedding import Embedding
    from llmproxy_semantic.index import Row
    from llmproxy_semantic.searching import Searched

#: Rows that are judged for a question: whoever is nearest may be its opposite.
_JUDGED: Final = 8


class LikenessMeters:
    """What is counted of the semantic tier."""

    def __init__(self, plugin: str, metrics: Metrics) -> None:
        self.lookups = metrics.counter(
            "llmproxy_semantic_lookups_total",
            "Questions that were looked for by likeness, by what came of it: hit, none, late, drawn (to be"
            " compared with what the upstream says), or why it may not be.",
            ("plugin", "outcome"),
        )
        objections = metrics.counter(
            "llmproxy_semantic_objections_total",
            "Answers that were near enough to be judged and were not given, by the guard that objected; far: none did.",
            ("plugin", "guard"),
        )
        self._plugin = plugin
        self.objections = {
            name: objections.labels(plugin, name) for name in (*(name for name, _ in GUARDS), "far")
        }

    def looked(self, outcome: str) -> None:
        """Count a lookup."""
        self.lookups.labels(self._plugin, outcome).inc()


class Likeness:
    """Finds answers to questions that are alike."""

    def __init__(
        self, runtime: Runtime, embedding: Embedding, rows: Searched, cuts: tuple[float, float, float]
    ) -> None:
        self._runtime = runtime
        #: The least similarity of each tier, and of any.
        self._cuts, self._least = cuts, min(cuts)
        self._embedding = embedding
        self._rows = rows
        self._meters = LikenessMeters(runtime.name, runtime.metrics)

    def form(self, question: str, form: str) -> str:
        """Return the form that is compared: without slips of the pen, which move a vector further than they should."""
        return form if len(question) > LONGEST or form.count(" ") >= MOST_WORDS else mended(question, form)

    async def find(
        self, asked: Asked, form: str, space: CacheSpace, *, within: float, warmest: float
    ) -> Kin | None:
        """Return an answer that would do, None where none is known or it cannot be said within so many seconds."""
        features = features_of(asked.question, form)
        if self.refuses(asked, features, warmest):
            return None
        rows = await self.near(form, asked.partition, space, within)
        if rows is None:
            return None
        kin = self._best(features, rows)
        self.looked("none" if kin is None else "hit")
        return kin

    def refuses(self, asked: Asked, features: Features, warmest: float) -> bool:
        """Whether a question may not be matched by likeness; that is counted."""
        why = why_not(asked, features, warmest=warmest)
        if why:
            self.looked(why)
        return bool(why)

    async def near(self, form: str, partition: bytes, space: CacheSpace, within: float) -> list[Row] | None:
        """Return what is near, the nearest first; None, which is counted, where that cannot be said in time."""
        rows = None
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                rows = await self._near(form, partition, space, within)
        if rows is None:
            self.looked("late")
        return rows

    async def _near(self, form: str, partition: bytes, space: CacheSpace, within: float) -> list[Row] | None:
        if not await self._rows.may_find(space, partition):
            return []
        vector = await self._embedding.vector(form, within)
        return None if vector is None else await self._rows.near(space, partition, vector, _JUDGED)

    def looked(self, outcome: str) -> None:
        """Count a lookup."""
        self._meters.looked(outcome)

    def _best(self, features: Features, rows: list[Row]) -> Kin | None:
        for row in rows:
            if row.similarity < self._least:
                break
            stored = unpack(row.features)
            if stored is None:
                continue
            guard = objection(features, stored)
            if not guard and row.similarity < self._cuts[tier_of(features, stored)]:
                guard = "far"
            if not guard:
                return Kin(row.key, "semantic", row.similarity)
            self._meters.objections[guard].inc()
        return None

    def stored(self, asked: Asked, form: str, answered: Answered, *, warmest: float) -> None:
        """Have an answer be found by the likeness of its question, some time."""
        features = features_of(asked.question, form)
        if why_not(asked, features, warmest=warmest):
            return
        packed, partition, rows = pack(features), asked.partition, self._rows

        def keep(vector: Vector) -> None:
            self._runtime.spawn(rows.add(answered, partition, vector, packed), name="keep-row")

        self._embedding.embed_later(form, keep)

    def lost(self, asked: Asked, kin: Kin, space: CacheSpace) -> None:
        """Forget the row of an answer that is gone."""
        self._runtime.spawn(self._rows.lost(space, asked.partition, kin.key), name="forget-row")
