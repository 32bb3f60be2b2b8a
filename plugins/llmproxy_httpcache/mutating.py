"""What a GraphQL mutation makes untrue: the answers with the entities that it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy_httpcache.entities import read_answer
from llmproxy_httpcache.gathering import gather
from llmproxy_httpcache.invalidating import Invalidation
from llmproxy_httpcache.querying import is_json

if TYPE_CHECKING:
    from llmproxy.plugin import Reply
    from llmproxy_httpcache.config import GraphQL
    from llmproxy_httpcache.entities import Told
    from llmproxy_httpcache.keeping import Keeping
    from llmproxy_httpcache.plan import Plan


async def mutate(plan: Plan, settings: GraphQL, reply: Reply, keeping: Keeping) -> None:
    """Take out of the store what a mutation, or what may be one, has changed; before its answer leaves."""
    if not 200 <= reply.status < 400:
        return
    told = None
    if is_json(reply):
        try:
            told = _told(await gather(reply, settings.max_answer))
        except BaseException:
            # It was executed, and nobody knows on what.
            await keeping.invalidate(plan, _everything(plan))
            raise
    if told is not None and not told.executed:
        return
    tags = () if told is None else told.changed(by_type=settings.purge_by == "type")
    if tags:
        await keeping.invalidate(plan, Invalidation(tags=tags))
    elif settings.without_entities == "purge":
        await keeping.invalidate(plan, _everything(plan))


def _told(whole: bytes | None) -> Told | None:
    return None if whole is None else read_answer(whole)


def _everything(plan: Plan) -> Invalidation:
    return Invalidation((plan.target,))
