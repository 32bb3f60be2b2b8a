"""The policy `verified` of one route: what is alike is served where samples of the route's own requests bear it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.plugin import Kin
from llmproxy_semantic.features import features_of
from llmproxy_semantic.overseer import Served
from llmproxy_semantic.trials import TRIAL, Pending, Trial

if TYPE_CHECKING:
    from llmproxy.plugin import Answered, Asked, CacheSpace, Exchange
    from llmproxy_semantic.config import SemanticRoute
    from llmproxy_semantic.likeness import Likeness
    from llmproxy_semantic.overseer import Overseer


class Verified:
    """Finds answers to questions that are alike, and learns whether they would do."""

    def __init__(self, likeness: Likeness, overseer: Overseer, route: str, settings: SemanticRoute) -> None:
        self._likeness = likeness
        self._overseer = overseer
        self._route = route
        self._settings = settings
        self._pending = Pending()

    async def find(self, exchange: Exchange, asked: Asked, form: str, space: CacheSpace) -> Kin | None:
        """Return an answer that would do; None, whatever there is, if the request is drawn to be compared.

        Only questions that could be compared are samples: of others likeness serves none.
        """
        likeness, settings, tenant = self._likeness, self._settings, exchange.caller.tenant
        features = features_of(asked.question, form)
        if likeness.refuses(asked, features, settings.warmest):
            return None
        oversight = self._overseer.of(self._route, tenant)
        drawn = oversight.drawn()
        rows = await likeness.near(form, asked.partition, space, settings.within)
        if rows is None:
            return None
        best = oversight.best(features, rows)
        if drawn:
            likeness.looked("drawn")
            if best is None:
                oversight.compare(features, None, None)
            else:
                exchange.state[TRIAL] = trial = Trial(oversight, features, best)
                self._pending.add((asked.partition, asked.question), trial)
            return None
        if best is None or not oversight.serves(best):
            likeness.looked("none")
            return None
        likeness.looked("hit")
        self._overseer.known.serve(exchange.id, Served(self._route, tenant, features.form, best.key))
        return Kin(best.key, "semantic", best.similarity)

    async def stored(self, exchange: Exchange, asked: Asked, form: str, answered: Answered) -> None:
        """Have an answer be found, and compared with what was found for its question, if it was drawn."""
        self._overseer.of(self._route, exchange.caller.tenant).quarantine.release(answered.key)
        self._likeness.stored(asked, form, answered, warmest=self._settings.warmest)
        if answered.fresh is None:
            return
        trials = self._pending.take((asked.partition, asked.question))
        for trial in trials or filter(None, [exchange.state.get(TRIAL)]):
            await trial.compare(asked.question, answered.fresh)
