"""One call: from its templates to what its answer holds, or why it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from llmproxy.plugin import Body, BodyTooLarge, ChildRequest, GatewayError, Headers, Missing, Reply
from llmproxy_aggregate.targets import fill_target
from llmproxy_aggregate.values import field

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange, Runtime
    from llmproxy_aggregate.plan import PlannedCall

#: What of a call's answer the caller gets where it is relayed.
_RELAYED: Final = ("content-type", "cache-control", "retry-after", "etag", "last-modified", "location")


class Good(NamedTuple):
    """A call that went well."""

    value: Any
    status: int
    headers: Headers


class Bad(NamedTuple):
    """A call that failed.

    `reason` is one of `status`, `timeout`, `missing` (what its templates refer to), `refused` (by the gateway),
    `too_large`, `not_json`, `encoded` and `cut`; `source` is where something was missing.
    """

    reason: str
    status: int | None = None
    retry_after: float | None = None
    source: str = ""


class Relayed(Exception):
    """A call's answer is the caller's."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Calling:
    """Makes calls as child exchanges: each passes its route's plugins, as the same caller, within the deadline."""

    def __init__(self, runtime: Runtime, max_reply: int) -> None:
        self._runtime = runtime
        self._limit = max_reply

    async def make(self, exchange: Exchange, call: PlannedCall, values: Mapping[str, Any]) -> Good | Bad:
        """Make a call; what goes wrong with it is told, not raised.

        Raises:
            Relayed: the caller gets its answer.
        """
        now = self._runtime.clock.now()
        deadline = exchange.deadline
        if call.settings.timeout is not None:
            deadline = min(deadline, now + call.settings.timeout)
        try:
            request = _request(exchange, call, values, deadline)
        except Missing as fault:
            return Bad("missing", source=fault.source)
        try:
            async with asyncio.timeout(max(deadline - now, 0.0)):
                return await self._ask(exchange, call, request)
        except TimeoutError:
            return Bad("timeout", 504)
        except BodyTooLarge:
            return Bad("too_large")
        except GatewayError as error:
            return Bad("timeout" if error.status == 504 else "refused", error.status, error.retry_after)
        except OSError:
            return Bad("cut")

    async def _ask(self, exchange: Exchange, call: PlannedCall, request: ChildRequest) -> Good | Bad:
        reply = await self._runtime.call(request, parent=exchange)
        assert reply is not None  # it is not detached
        settings = call.settings
        if reply.status in settings.relay:
            raise Relayed(await self._relayed(reply))
        if not (200 <= reply.status < 300 or reply.status in settings.statuses):
            _leave(reply)
            reason = "timeout" if reply.status == 504 else "status"
            return Bad(reason, reply.status, _seconds(reply.headers.get("retry-after")))
        if reply.headers.index.get(b"content-encoding", b"identity") != b"identity":
            _leave(reply)
            return Bad("encoded", reply.status)
        body = await self._body(reply)
        if settings.form == "text":
            return Good(body.decode("utf-8", "replace"), reply.status, reply.headers)
        try:
            value = orjson.loads(body) if body else None
        except orjson.JSONDecodeError:
            return Bad("not_json", reply.status)
        return Good(call.filter.apply(value), reply.status, reply.headers)

    async def _body(self, reply: Reply) -> bytes:
        if isinstance(reply.body, Body):
            return await reply.body.read(self._limit)
        if len(reply.body) > self._limit:
            raise BodyTooLarge
        return reply.body

    async def _relayed(self, reply: Reply) -> Reply:
        fields = Headers()
        for name in _RELAYED:
            value = reply.headers.get(name)
            if value is not None:
                fields.set(name, value)
        encoding = reply.headers.get("content-encoding")
        if encoding is not None:
            fields.set("content-encoding", encoding)
        return Reply(reply.status, fields, await self._body(reply))


def _request(
    exchange: Exchange, call: PlannedCall, values: Mapping[str, Any], deadline: float
) -> ChildRequest:
    """Fill a call's templates."""
    settings = call.settings
    target = fill_target(call.target, values, exchange.route.match.path)
    accept = "application/json" if settings.form == "json" else "*/*"
    fields = Headers.of({"Host": exchange.request.host, "Accept": accept})
    try:
        for name in settings.forward:
            if (value := field(exchange, name)) is not None:
                fields.set(name, value)
        for name, text in call.fields.items():
            fields.set(name, text.fill(values))
    except ValueError:
        raise Missing("headers") from None  # a line break where a field's value should be
    body = b""
    if call.body is not None:
        body = _dumped(call.body.fill(values))
        if "content-type" not in fields:
            fields.set("Content-Type", "application/json")
    if body or settings.method not in {"GET", "HEAD", "DELETE", "OPTIONS"}:
        fields.set("Content-Length", str(len(body)))
    return ChildRequest(settings.method, target, fields, body, deadline)


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise Missing("body") from None


def _leave(reply: Reply) -> None:
    if isinstance(reply.body, Body):
        reply.body.abandon()


def _seconds(value: str | None) -> float | None:
    return (
        float(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 7 else None
    )
