"""What the cache makes of a request: which terms hold and why, whether an answer is stored, what its key is made of.

Parts of a key are told by digests that hold the tenant, so that nobody can compare texts across tenants.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from llmproxy.caches import key_name
from llmproxy_httpcache.planning import plan_of

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange
    from llmproxy_httpcache.plan import Plan
    from llmproxy_httpcache.rules import Rules


class Part(NamedTuple):
    """One thing that a key depends on; `shown` is its value where that is no secret."""

    name: str
    digest: str
    shown: str = ""


def explain(rules: Rules, exchange: Exchange, body: bytes) -> dict[str, Any]:
    """Tell everything that can be told without the store.

    `terms` are [name, value, where it comes from]; `stored` says whether an answer may be, or why it is not; `key` is
    empty where there is none, and `parts` are what it is made of.
    """
    plan = plan_of(exchange, rules, body)
    return {
        "profile": rules.standing.profile,
        "terms": [list(each) for each in rules.standing.told()],
        "stored": _stored(plan),
        "ends": _ends(plan),
        "key": key_name(plan.key) if plan.key else "",
        "parts": [part._asdict() for part in parts_of(plan, body)] if plan.key else [],
    }


def told(rules: Rules, exchange: Exchange, body: bytes) -> Iterator[tuple[str, str]]:
    """Give the same as names and texts."""
    tree = explain(rules, exchange, body)
    yield from ((name.replace("_", " "), f"{value} ({why})") for name, value, why in tree["terms"])
    yield "stored", tree["stored"]
    if tree["ends"]:
        yield "ends", tree["ends"]
    if tree["key"]:
        yield "key", tree["key"]
    yield from ((f"key part {part['name']}", part["shown"] or part["digest"]) for part in tree["parts"])


def _stored(plan: Plan) -> str:
    if plan.key:
        return "if the answer may be"
    if not plan.rules.active:
        return "no: stateless"
    if plan.asked.precondition:
        return "no: the request has a condition that only the origin can judge"
    return f"no: {plan.status.detail or ('method' if plan.status.forwarded == 'method' else 'a GET with a body')}"


def _ends(plan: Plan) -> str:
    """Say what the request ends in the store, if it succeeds."""
    if plan.query is not None:
        changes = plan.query.kind in {"unsafe", "hashed"}
        return "the answers with the entities that its answer returns" if changes else ""
    return "" if plan.asked.method in plan.rules.safe else "the answers of its target"


def parts_of(plan: Plan, body: bytes) -> Iterator[Part]:
    """Give what the key of a plan is made of, in the order in which it is."""
    rules, salt = plan.rules, plan.caller.tenant
    scoping, query = rules.scoping, plan.query
    yield Part("tenant", _digest(salt, salt.encode()), "everybody" if scoping.public else "")
    yield Part("route", _digest(salt, rules.route.encode()), rules.route)
    yield Part("origin", _digest(salt, plan.origin.encode()))
    yield Part("target", _digest(salt, plan.target.encode()))
    for name, value in rules.keys.told(plan.fields):
        yield Part(f"field {name.decode('latin-1')}", _digest(salt, value))
    if scoping.narrow:
        yield Part(
            f"scope {scoping.scope}", _digest(salt, *scoping.sharer(plan.caller, plan.asked, plan.fields))
        )
    if plan.asked.credentials and not rules.policy.shares_credentials:
        flat = [part for pair in sorted(plan.asked.credentials) for part in pair]
        yield Part("credentials", _digest(salt, *flat))
    if query is not None:
        yield from _query_parts(plan, query.form, salt)
    elif plan.asked.method in rules.bodied:
        yield Part("method", _digest(salt, plan.asked.method.encode()), plan.asked.method)
        yield Part("body", _digest(salt, body))


def _query_parts(plan: Plan, form: tuple[bytes, ...], salt: str) -> Iterator[Part]:
    yield Part("accept", _digest(salt, plan.fields.get(b"accept") or b""))
    rest = form[1:]
    if form[:1] == (b"text",):
        yield Part("document", _digest(salt, form[1]))
        rest = form[2:]
    for name, value in zip(rest[::2], rest[1::2], strict=False):
        shown = name.decode() if name in {b"operationName", b"variables", b"extensions"} else "member"
        yield Part(shown, _digest(salt, name, value))


def _digest(salt: str, *parts: bytes) -> str:
    digest = blake2b(key=blake2b(salt.encode()).digest(), digest_size=8)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()
