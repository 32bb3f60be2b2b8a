"""What the answer to an unsafe request changes in the store (RFC 9111 §4.4, RFC 9110 §9.3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llmproxy_httpcache.freshness import date_of, explicit_lifetime
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.invalidating import invalidate, same_origin
from llmproxy_httpcache.storing import Answer, Keep, control_of, store

if TYPE_CHECKING:
    from llmproxy.plugin import Clock, Reply
    from llmproxy_httpcache.keeping import Keeping
    from llmproxy_httpcache.plan import Plan


async def change(plan: Plan, method: str, reply: Reply, keeping: Keeping, clock: Clock) -> Keep | None:
    """Take out of the store what is no longer true; return on which terms the answer itself may be stored."""
    told = Fields(reply.headers.raw, reply.headers.index)
    gone = invalidate(method, plan.origin, plan.target, reply.status, told)
    if not gone.targets:
        return None
    await keeping.invalidate(plan, gone)
    if method != "POST" or reply.status != 200 or not plan.rules.active or not _is_target(plan, told):
        return None
    return _posted(plan, told, keeping, clock.wall())


def _is_target(plan: Plan, told: Fields) -> bool:
    """Whether an answer says that it is what GET would give."""
    place = told.last.get(b"content-location")
    return place is not None and same_origin(plan.origin, plan.target, place.decode("latin-1")) == plan.target


def _posted(plan: Plan, told: Fields, keeping: Keeping, now: float) -> Keep | None:
    """Judge the representation that a POST gave: it needs a lifetime of its own."""
    if not explicit_lifetime(control_of(told), told, date_of(told, now), now):
        return None
    asked = msgspec.structs.replace(plan.asked, method="GET", range=None)
    # Only after the purge, which is for what was there before.
    plan.mark = keeping.space.now()
    plan.key = plan.rules.key_of(asked, plan.caller, plan.origin, plan.target, plan.fields)
    if not plan.key:
        return None
    decision = store(plan.rules.policy, asked, Answer(200, told, plan.requested, now), closed=plan.closed)
    if not isinstance(decision, Keep):
        plan.reason = decision.reason
        return None
    plan.tell(stored=True)
    return decision
