"""Bounds the requests of exchanges: what callers sent, and what a translation made of it."""

from __future__ import annotations

from llmproxy.plugin import BadRequest, Exchange, UpstreamRequest
from llmproxy_quota.bounds import Bound, bound_of
from llmproxy_quota.calls import kind_of
from llmproxy_quota.config import QuotaConfig


async def bounded(exchange: Exchange, config: QuotaConfig, *, hard: bool) -> Bound | None:
    """Return what the caller's request comes to, and have it say so; None where it uses nothing.

    Raises:
        BadRequest: it has to be bounded for `hard` limits, and cannot be.
    """
    request, upgraded = exchange.request, exchange.upgraded
    path, method = request.path.partition("?")[0], request.method
    if kind_of(method, path, upgraded=upgraded) == "nothing":
        return None
    bound = bound_of(path, await exchange.body(), config, method, upgraded=upgraded)
    if bound is None:
        return None
    if bound.doubt and hard:
        raise BadRequest("not_bounded", bound.doubt)
    if bound.body is not None:
        exchange.set_body(bound.body)
    return bound


def as_told(request: UpstreamRequest, bound: Bound, config: QuotaConfig) -> Bound:
    """Return what a translated request comes to, which is more where its provider wants longer answers.

    Thinking is part of an answer for some, who refuse a shorter one. What a translation left without a bound gets one.
    """
    body = request.body
    if not isinstance(body, bytes):
        return bound
    told = bound_of(request.target.partition("?")[0], body, config, request.method)
    if told is None or told.doubt:
        return bound
    if told.body is not None:
        request.body = told.body
    return bound if told.output <= bound.output else bound._replace(output=told.output)
