"""What an attempt takes before it is sent, and what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from llmproxy.plugin import Attempt, Endpoint, Exchange, GatewayError, Secondhand, secondhand
from llmproxy_quota.fields import PRICE_UNKNOWN

#: More than any call comes to: engines add up what shadows take, however absurd what a caller asks for.
_MOST: Final = 10**12

if TYPE_CHECKING:
    from llmproxy_quota.book import Rule
    from llmproxy_quota.bounds import Bound
    from llmproxy_quota.pricing import Pricing
    from llmproxy_quota.taking import Hold


def amount_of(
    pricing: Pricing, exchange: Exchange, rule: Rule, bound: Bound, places: Sequence[Endpoint]
) -> int | None:
    """Return what an attempt may take of a limit: at most for a hard one, else about; None if no price is known."""
    hard = rule.config.mode == "hard"
    tokens = (bound.input, bound.output) if hard else (bound.likely_input, bound.likely_output)
    if rule.config.counts == "tokens":
        return min(sum(tokens), _MOST)
    units = bound.units.most if hard else bound.units.likely
    cost = pricing.dearest(exchange, places, tokens, units)
    return None if cost is None else min(cost, _MOST)


def amounts_of(
    pricing: Pricing,
    exchange: Exchange,
    rules: Sequence[Rule],
    bound: Bound,
    places: Sequence[Endpoint],
    unpriced: Literal["refuse", "zero"],
) -> tuple[int, ...]:
    """Return what an attempt takes of its limits.

    Raises:
        GatewayError: a hard limit counts money, and no price is known.
    """
    amounts = []
    for rule in rules:
        amount = amount_of(pricing, exchange, rule, bound, places)
        if amount is None and unpriced == "refuse" and rule.config.mode == "hard":
            raise GatewayError(403, "price_unknown", PRICE_UNKNOWN)
        amounts.append(amount or 0)
    return tuple(amounts)


def charge_hold(pricing: Pricing, exchange: Exchange, attempt: Attempt, hold: Hold) -> Sequence[int]:
    """Return what an attempt came to, of what was taken for it; nothing if none of it left."""
    took, request, usage = hold.portion, hold.request, attempt.usage
    if request is None or not request.sent:
        return [0] * len(took.rules)  # what did not leave cannot have been used
    if took.only_tokens and usage is not None and attempt.complete:
        return [usage.total] * len(took.rules)
    return charge(pricing, exchange, attempt, took.rules, took.amounts)


def charge(
    pricing: Pricing, exchange: Exchange, attempt: Attempt, rules: Sequence[Rule], taken: Sequence[int]
) -> Sequence[int]:
    """Return what an attempt that was sent came to: what was taken, where its usage is not known to its end."""
    if is_free(attempt):
        return [0] * len(taken)
    usage = attempt.usage
    if usage is None or not (attempt.complete or exchange.upgraded):
        return taken  # a session tells of each answer when it ends, whatever becomes of it
    came = []
    for rule, amount in zip(rules, taken, strict=True):
        if rule.config.counts == "tokens":
            came.append(usage.total)
            continue
        cost = pricing.price(exchange, attempt)
        came.append(amount if cost is None else cost)
    return came


def is_free(attempt: Attempt) -> bool:
    """Whether nothing can have been used of what was sent: its provider refused it."""
    return attempt.status is not None and attempt.status >= 400 and attempt.usage is None


def charge_shared(pricing: Pricing, exchange: Exchange, rules: Sequence[Rule]) -> list[int]:
    """Return what an answer comes to that no call was made for: nothing, unless the route charges for such ones."""
    found = secondhand(exchange)
    return [0] * len(rules) if found is None else charge_found(pricing, exchange, rules, found)


def charge_found(pricing: Pricing, exchange: Exchange, rules: Sequence[Rule], found: Secondhand) -> list[int]:
    """Return what such an answer comes to."""
    cost = pricing.part(exchange, found) or 0
    return [found.tokens if rule.config.counts == "tokens" else cost for rule in rules]
