"""GraphQL requests on their way through the cache: their keys, and which of their answers may be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmproxy.caches import CacheStatus
from llmproxy_httpcache.entities import read_answer
from llmproxy_httpcache.gathering import gather
from llmproxy_httpcache.key import with_query
from llmproxy_httpcache.queries import Query, names_parameters, read_get, read_post
from llmproxy_httpcache.requests import BODILESS, has_body
from llmproxy_httpcache.storing import No
from llmproxy_httpcache.vary import normalised

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange, Reply
    from llmproxy_httpcache.plan import Plan
    from llmproxy_httpcache.storing import Decision, Keep

#: What answers are written in (GraphQL over HTTP §6.2).
_MEDIA: Final = frozenset({b"application/json", b"application/graphql-response+json"})


def read_query(exchange: Exchange, plan: Plan, body: bytes | None) -> bool:
    """Lay down what a GraphQL request means, and the key of its answer; False if it is an ordinary one."""
    query = _read(exchange, plan, body)
    if query is None:
        return False
    plan.query = query
    if query.kind == "query":
        lay_key(plan)
    else:
        plan.status = CacheStatus("bypass", detail=query.why or query.kind)
    return True


def _read(exchange: Exchange, plan: Plan, body: bytes | None) -> Query | None:
    request, bounds = exchange.request, plan.rules.bounds
    if request.method == "POST":
        if body is None or names_parameters(request.query):
            return Query("unsafe", why="size" if body is None else "unreadable")
        get = plan.fields.get
        described = (get(b"content-type") or b"", get(b"content-encoding") or b"")
        return read_post(body, described, bounds)
    found = read_get(request.query, bounds) if request.method in BODILESS and request.query else None
    if found is None:
        return None
    query, rest = found
    if has_body(plan.fields.last):
        # Some servers take what it says in place of the target.
        query = Query("safe", why="body")
    # Purged by what is left, which is what a POST goes to.
    plan.target = plan.rules.keys.target(f"{request.path}?{rest}" if rest else request.path)
    return query


def lay_key(plan: Plan) -> None:
    """Give a plan the key of its query's answer, if it is known who would share it."""
    assert plan.query is not None
    rules = plan.rules
    key = rules.key_of(plan.asked, plan.caller, plan.origin, plan.target, plan.fields)
    if plan.asked.precondition or not key:
        plan.status = CacheStatus("bypass", detail="" if key else f"no-{rules.scoping.scope}")
        return
    accept = normalised(b"accept", plan.fields.get(b"accept")) or b""
    plan.key = with_query(key, accept, plan.query.form)


async def judge_answer(plan: Plan, reply: Reply, keep: Keep) -> Decision:
    """Keep an answer only if it has come whole, without errors; lay down what it is purged by."""
    limit = 0 if plan.rules.graphql is None else plan.rules.graphql.max_answer
    if reply.status != 200:
        return No("status")
    if not is_json(reply):
        return No("content-type")
    whole = await gather(reply, limit)
    if whole is None:
        return No("size")
    told = read_answer(whole)
    if told is None or not told.flawless:
        return No("unreadable" if told is None else "errors")
    plan.entities = told.tags
    return keep


def is_json(reply: Reply) -> bool:
    """Whether a reply says that it is a GraphQL answer in one piece."""
    media = reply.headers.index.get(b"content-type", b"").partition(b";")[0]
    return media.strip().lower() in _MEDIA
