"""Answers to questions that mean the same: asked for where the exact key finds nothing, told of what is kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import orjson

from llmproxy.caches import CacheStatus
from llmproxy.plugin import Answered, Asked, Entry, Exchange, Fresh, Reply, key_rules_of, take_question
from llmproxy_cache.finding import Finding
from llmproxy_cache.key import HUGE, Keyed, Unreadable
from llmproxy_cache.longnumbers import long_numbers
from llmproxy_cache.plan import PLAN, Plan

if TYPE_CHECKING:
    from llmproxy.plugin import CacheSpace, Clock, Runtime, StoredReply
    from llmproxy_cache.kept import Kept
    from llmproxy_cache.serving import Serving


#: What a partition is made of behind the head; what a key is made of is an object of JSON there.
_WITHOUT_QUESTION: Final = b"without question "


def asked_of(exchange: Exchange, plan: Plan) -> Asked | None:
    """Return what a request asks, None where it has no question of its own."""
    rules, maker = key_rules_of(exchange), plan.policy.maker
    if rules is None or rules.exact or len(plan.body) > HUGE:
        return None
    try:
        facts = maker.keyed(exchange, plan.body).facts
        rest = maker.read_again(rules, plan.body).counted
    except Unreadable:
        return None
    question = take_question(rules, rest)
    if question is None:
        return None
    digest = maker.begun(exchange, rules, maker.fields(exchange, rules))
    digest.update(
        _WITHOUT_QUESTION + orjson.dumps(rest, option=orjson.OPT_SORT_KEYS) + long_numbers(plan.body)
    )
    partition = plan.policy.key(exchange, Keyed(digest.digest(), facts), plan.control)
    if isinstance(partition, str):
        return None
    return Asked(partition, question, rest, facts.temperature, facts.settled)


def _near(plan: Plan, key: bytes) -> Plan:
    """Return a plan that looks for the answer under another key, for the same caller."""
    near = Plan(plan.policy, plan.control, CacheStatus("miss"))
    near.key, near.form, near.lifetime = key, plan.form, plan.lifetime
    return near


def _serves(plan: Plan, kept: Kept, age: float) -> bool:
    return not kept.soft and age < min(kept.about.lifetime, plan.policy.most)


async def answer_of_kin(
    exchange: Exchange, plan: Plan, space: CacheSpace, finding: Finding, serving: Serving, clock: Clock
) -> Reply | None:
    """Return the answer to a question of the same meaning, if one is known, kept and fresh."""
    assert plan.kinship is not None
    plan.asked = asked = asked_of(exchange, plan)
    kin = None if asked is None else await plan.kinship.find(exchange, asked, space)
    if asked is None or kin is None:
        return None
    near = _near(plan, kin.key)
    near.tier = kin.tier
    kept = await finding.find(near)
    age = 0.0 if kept is None else kept.age(clock.wall())
    if kept is None or not _serves(plan, kept, age):
        plan.kinship.lost(asked, kin, space)
        return None
    reply = await serving.serve(exchange, near, kept, kin.tier, age=age)
    if reply is not None:
        exchange.state[PLAN] = near
    return reply


async def tell_kin(
    exchange: Exchange,
    plan: Plan,
    *,
    space: CacheSpace,
    entry: Entry,
    ttl: float,
    whole: StoredReply,
    runtime: Runtime,
) -> None:
    """Tell who knows of likeness that an answer is kept."""
    if plan.kinship is None:
        return
    asked = plan.asked or asked_of(exchange, plan)
    if asked is not None:
        fresh = Fresh(whole, partial(_other, exchange, plan, Finding(space), runtime))
        await plan.kinship.stored(exchange, asked, Answered(space, plan.key, entry, ttl, fresh))


async def _other(
    exchange: Exchange, plan: Plan, finding: Finding, runtime: Runtime, key: bytes
) -> StoredReply | None:
    """Return the answer kept under another key as this caller would have got it, None where it would not have."""
    kept = await finding.find(_near(plan, key))
    if kept is None or not _serves(plan, kept, kept.age(runtime.clock.wall())):
        return None
    place = 0 if plan.form is None else kept.place(plan.form)
    if place is not None or plan.form is None:
        return kept.stored(place or 0)
    source = kept.source(plan.form)
    told = kept.about.forms[source].form
    return (await runtime.forms.derive(exchange, kept.stored(source), told, plan.form)).reply
