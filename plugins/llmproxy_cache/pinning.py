"""Answers that an operator gives: kept in the place of the provider's, whichever of several a caller would get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.plugin import Body, Exchange, Reply, StoredReply

if TYPE_CHECKING:
    from llmproxy_cache.filling import Filling
    from llmproxy_cache.key import Keyed
    from llmproxy_cache.plan import Plan
    from llmproxy_cache.policy import Policy


async def pin(filling: Filling, exchange: Exchange, plan: Plan) -> Reply:
    """Keep the answer that an exchange is given."""
    reply = await filling.fetch()
    assert not isinstance(reply.body, Body)
    whole = StoredReply(reply.status, reply.headers.raw, reply.body)
    keyed = plan.policy.maker.keyed(exchange, plan.body)
    for key in variants_of(plan.policy, plan.policy.key(exchange, keyed, plan.control), keyed):
        plan.key = key
        saving = filling.keep(whole)
        if saving is not None:
            await saving
    return reply


def variants_of(policy: Policy, key: bytes | str, keyed: Keyed) -> list[bytes]:
    """Return the keys of all answers that are kept to a question; none where its answers are not."""
    if isinstance(key, str):
        return []
    if policy.settings.variants == 1 or keyed.facts.settled:
        return [key]
    return [b"%bv%d" % (key, number) for number in range(policy.settings.variants)]
