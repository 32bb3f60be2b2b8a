"""Why a request was a hit or a miss, with the store and what was stored lately at hand."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from llmproxy.caches import FATE, Insight, Standing, inspect_key, key_name
from llmproxy.plugin import BadEntry, Exchange
from llmproxy_cache.foreseeing import Weighed, parts_for, weigh
from llmproxy_cache.kept import read
from llmproxy_cache.key import Unreadable
from llmproxy_cache.pinning import variants_of
from llmproxy_cache.plan import PLAN

if TYPE_CHECKING:
    from llmproxy.caches import Inspected, Part, Recents
    from llmproxy.plugin import CacheSpace, Clock
    from llmproxy_cache.plan import Plan
    from llmproxy_cache.policy import Policy


class Insights:
    """Explains requests, and remembers what the keys of stored answers were made of."""

    def __init__(self, space: CacheSpace, recents: Recents, clock: Clock) -> None:
        self._space = space
        self._recents = recents
        self._clock = clock

    def stored(self, exchange: Exchange, plan: Plan) -> None:
        """Remember the key of an answer that was stored."""
        parts = partial(_parts, exchange, plan)
        self._recents.remember(exchange.caller.tenant, plan.policy.route, plan.key, parts)

    async def found(self, exchange: Exchange) -> None:
        """Have every worker know the answer that somebody wanted to be kept, and that this one has already."""
        fate, plan = exchange.state.get(FATE), exchange.state.get(PLAN)
        if fate is not None and plan is not None and plan.kept is not None:
            left = plan.policy.terms.kept - plan.kept.age(self._clock.wall())
            await fate.stored(self._space, plan.key, plan.kept.entry, max(left, 1.0), kept=True)

    async def look_into(self, policy: Policy, exchange: Exchange) -> Insight:
        """Say what the cache makes of a request, and of what is stored for it."""
        weighed = weigh(policy, exchange, await exchange.body())
        parts, entry, name = weighed.parts(), None, ""
        if weighed.key:
            entry, name = await self._standing(policy, weighed), key_name(weighed.key)
        near = None
        if parts and (entry is None or entry.state in {"none", "purged"}):
            near = await self._recents.nearest(exchange.caller.tenant, policy.route, parts)
        return Insight(policy.reasons(), weighed.kept, name, parts, entry, near)

    async def _standing(self, policy: Policy, weighed: Weighed) -> Standing:
        found = None
        for key in [] if weighed.keyed is None else variants_of(policy, weighed.key, weighed.keyed):
            found = await inspect_key(self._space, key)
            if Standing.missing(found) is None:
                break
        return Standing.missing(found) or self._judged(policy, weighed, found)

    def _judged(self, policy: Policy, weighed: Weighed, found: Inspected | None) -> Standing:
        assert found is not None
        soft = found.verdict != 0
        try:
            kept = read(found.entry, soft=soft)
        except BadEntry:
            return Standing("none", found.tier, more="what is stored cannot be read")
        about, age = kept.about, kept.age(self._clock.wall())
        lifetime = about.lifetime if about.pinned else min(about.lifetime, policy.most)
        state = "softly purged" if soft else "fresh" if age < lifetime else "stale"
        form = None if weighed.keyed is None else weighed.keyed.form
        if state == "fresh" and form is not None and kept.place(form) is None:
            state = "other form"
        more = "pinned" if about.pinned else f"answered by {about.upstream}" if about.upstream else ""
        return Standing(state, found.tier, round(age, 3), lifetime, len(found.entry.body), more)


def _parts(exchange: Exchange, plan: Plan) -> list[Part]:
    try:
        keyed = plan.policy.maker.keyed(exchange, plan.body)
    except Unreadable:
        return []
    return parts_for(plan.policy, exchange, plan.body, keyed, plan.control)
