"""Whether an answer that is whole is good enough to be given again."""

from __future__ import annotations

from typing import Final

from llmproxy.plugin import Exchange, StoredReply, key_rules_of
from llmproxy_cache.plan import Plan
from llmproxy_cache.soundness import is_answer
from llmproxy_cache.twins import has_twins

GOOD: Final = 200


def why_not(exchange: Exchange, plan: Plan, whole: StoredReply) -> str:
    """Return why an answer must not be kept: a word of a closed set, or nothing where it may be.

    `status`: it is an error. `too-large`, `ttl`: the route, or the caller, wants it so. `other-model`: a model answered
    that the key does not name. `flawed`: it was cut at a limit, refused or filtered, or ended with an error.
    `ambiguous`: of a request that can be read in two ways, on a route that strangers share.
    """
    settings = plan.policy.settings
    if whole.status != GOOD:
        return "status"
    if len(whole.body) > settings.max_body:
        return "too-large"
    if plan.lifetime <= 0:
        return "ttl"
    return _why_unlike(exchange, plan) or _why_flawed(exchange, whole)


def _why_unlike(exchange: Exchange, plan: Plan) -> str:
    """Return why the answer is not one to what the key says."""
    settings, endpoint = plan.policy.settings, exchange.endpoint
    if not settings.any_model and endpoint is not None and endpoint.model != plan.model:
        return "other-model"
    if plan.policy.terms.scope == "public" and has_twins(plan.body):
        return "ambiguous"
    return ""


def _why_flawed(exchange: Exchange, whole: StoredReply) -> str:
    rules = key_rules_of(exchange)
    if exchange.outcome.error or (rules is not None and not rules.keeps(whole.body)):
        return "flawed"
    return "" if is_answer(whole, rules) else "flawed"
