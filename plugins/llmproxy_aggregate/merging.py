"""The caller's answer, made of what the calls gave."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from llmproxy.plugin import GatewayError, Headers, Missing, Omitted, Reply
from llmproxy_aggregate.freshness import combined

if TYPE_CHECKING:
    from llmproxy_aggregate.calling import Bad
    from llmproxy_aggregate.gathering import Gathering
    from llmproxy_aggregate.plan import Plan

#: Fields that would have some cache or other keep an answer (RFC 9111, RFC 9213 among them).
_LIFETIME: Final = re.compile(r"(?i).*cache-control|expires|surrogate-control")

#: Tells callers which calls failed, whatever the answer's shape.
INCOMPLETE: Final = "x-llmproxy-incomplete"


def merge(plan: Plan, gathered: Gathering, limit: int) -> Reply:
    """Return the answer.

    Raises:
        GatewayError: it is larger than `limit` bytes, or is no JSON.
    """
    settings = plan.settings
    value = _value(plan, gathered)
    try:
        body = orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise GatewayError(502, "bad_answer", "The merged answer is no JSON.") from None
    if len(body) > limit:
        raise GatewayError(502, "answer_too_large", f"The merged answer is larger than {limit} bytes.")
    partial = bool(gathered.bad)
    status = settings.partial_status if partial and settings.partial_status is not None else settings.status
    return Reply(status, _headers(plan, gathered), body)


def vary(plan: Plan, fields: Headers) -> None:
    """Name the caller's header fields that the answer depends on."""
    if plan.varies:
        fields.set("Vary", ", ".join(plan.varies))


def _value(plan: Plan, gathered: Gathering) -> Any:
    try:
        value = plan.answer.fill(gathered.values)
    except Omitted:
        value = None
    told = plan.settings.failed
    if gathered.bad and told and isinstance(value, dict):
        value = {**value, told: {name: _told(bad) for name, bad in gathered.bad.items()}}
    return value


def _told(bad: Bad) -> dict[str, object]:
    return {"reason": bad.reason} if bad.status is None else {"reason": bad.reason, "status": bad.status}


def _headers(plan: Plan, gathered: Gathering) -> Headers:
    fields = Headers.of({"Content-Type": "application/json"})
    if gathered.bad:
        # What is incomplete now may be whole the next time: nobody keeps it.
        fields.set("Cache-Control", "no-store")
        fields.set(INCOMPLETE, ", ".join(gathered.bad))
    elif control := combined((good.headers for good in gathered.good.values()), personal=plan.personal):
        fields.set("Cache-Control", control)
    vary(plan, fields)
    for name, text in plan.fields.items():
        if gathered.bad and _LIFETIME.fullmatch(name):
            continue
        try:
            fields.set(name, text.fill(gathered.values))
        except (Missing, ValueError):
            continue  # a field without its value is left out
    return fields
