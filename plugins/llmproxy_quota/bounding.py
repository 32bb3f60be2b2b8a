"""Bounds the requests of exchanges: what callers sent, and what a translation made of it."""

from __future__ import annotations

from typing import Final

from llmproxy.plugin import BadRequest, Exchange, UpstreamRequest
from llmproxy_quota.bounds import Bound, bound_of
from llmproxy_quota.calls import kind_of
from llmproxy_quota.config import QuotaConfig

#: What is not known, for a bound may be None.
_NEW: Final = Bound(0, 0, 0, 0)
#: Bodies that come again are short; so many of so many bytes are known at a time.
_SMALL: Final = 4096
_KNOWN: Final = 512


class Bounds:
    """Bounds what callers send; what comes again as it came is known."""

    def __init__(self, config: QuotaConfig) -> None:
        self._config = config
        self._known: dict[tuple[bytes | None, str, str, bool], Bound | None] = {}

    def known(self, exchange: Exchange, *, hard: bool) -> Bound | None:
        """Return what a request comes to that came before as it came now; None where that has to be found out."""
        request = exchange.request
        bound = self._known.get((exchange.body_at_hand, request.path, request.method, exchange.upgraded))
        if bound is None or (bound.doubt and hard):
            return None
        if bound.body is not None:
            exchange.set_body(bound.body, reread=False)
        return bound

    async def of(self, exchange: Exchange, *, hard: bool) -> Bound | None:
        """Return what the caller's request comes to, and have it say so; None where it uses nothing.

        Raises:
            BadRequest: it has to be bounded for `hard` limits, and cannot be.
        """
        request, body = exchange.request, exchange.body_at_hand
        if body is None:
            # What uses nothing may be an upload, which is not to be waited for.
            path = request.path.partition("?")[0]
            if kind_of(request.method, path, upgraded=exchange.upgraded) == "nothing":
                return None
            body = await exchange.body()
        key = (body, request.path, request.method, exchange.upgraded)
        bound = self._known.get(key, _NEW)
        if bound is _NEW:
            bound = self._find(key)
        if bound is None:
            return None
        if bound.doubt and hard:
            raise BadRequest("not_bounded", bound.doubt)
        if bound.body is not None:
            exchange.set_body(bound.body, reread=False)
        return bound

    def _find(self, key: tuple[bytes, str, str, bool]) -> Bound | None:
        body, path, method, upgraded = key
        bound = bound_of(path.partition("?")[0], body, self._config, method, upgraded=upgraded)
        if len(body) <= _SMALL:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[key] = bound
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
