"""Refuses requests that are not as declared, and tells of answers that are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from llmproxy.plugin import (
    Body,
    BodyTooLarge,
    Counter,
    Exchange,
    Plugin,
    Recording,
    Reply,
    Runtime,
    StateKey,
    UpstreamRequest,
    hookimpl,
)
from llmproxy_validation.config import ValidationConfig, ValidationRoute
from llmproxy_validation.faults import Fault
from llmproxy_validation.judging import Judge
from llmproxy_validation.operations import Operation, is_utf8, judge_body, media_of
from llmproxy_validation.refusals import invalid, invalid_reply, too_large, unknown_operation, wrong_media

_OPERATION: StateKey[Operation] = StateKey("operation")
#: Bytes of a body that are judged at once: some milliseconds at worst.
AT_ONCE = 32 * 1024

_BODILESS = frozenset({101, 204, 205, 304})


class ValidationPlugin(Plugin[ValidationConfig]):
    """Requests and answers, judged by JSON Schema or OpenAPI."""

    Config = ValidationConfig
    RouteConfig = ValidationRoute
    after = ("access",)

    _faults: Counter
    _runtime: Runtime

    def __init__(self, name: str, config: ValidationConfig) -> None:
        super().__init__(name, config)
        self._judges: dict[str, Judge | None] = {}

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Count what is not as declared."""
        self._runtime = runtime
        self._faults = runtime.metrics.counter(
            "llmproxy_validation_faults_total",
            "Requests and answers that are not as declared.",
            ("route", "side"),
        )
        yield

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Refuse a request that is not as declared."""
        judge = self._judge(exchange)
        if judge is None:
            return None
        options: ValidationRoute = exchange.options(self)
        request = exchange.request
        operation, params, allowed = judge.find(request.method, request.path, exchange.params)
        if operation is None:
            if options.unknown == "pass":
                return None
            raise unknown_operation(request.method, allowed)
        exchange.state[_OPERATION] = operation
        most = self.config.errors
        faults = operation.judge_parameters(params, request.query, request.headers, most)
        if options.unknown_query == "refuse" and operation.unknown_query(request.query):
            faults.append(Fault("query", "", "has a parameter that is not declared"))
        if operation.content is not None and not exchange.upgraded and len(faults) < most:
            faults += await self._judge_body(exchange, operation, most - len(faults))
        if faults:
            self._faults.labels(exchange.route.name, "request").inc()
            raise invalid(faults[:most])
        return None

    async def _judge_body(self, exchange: Exchange, operation: Operation, most: int) -> Sequence[Fault]:
        headers, limit = exchange.request.headers, self.config.max_body
        if int(headers.get("content-length") or 0) > limit:
            raise too_large(limit)
        body = await exchange.body()
        if len(body) > limit:
            raise too_large(limit)
        if not body:
            return [Fault("body", "", "is missing")] if operation.body_required else ()
        content, kinds = operation.content or {}, headers.get_all("content-type")
        kind = kinds[0] if kinds else ""
        media = media_of(content, kind)
        # Of several types readers may take either; what another charset makes of a body is another body.
        if media is None or len(kinds) > 1 or not is_utf8(kind) or headers.has(b"content-encoding"):
            raise wrong_media(list(content))
        return await judged(len(body), partial(judge_body, media, kind, body, most))

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Ask for an answer that can be read."""
        if exchange.options(self).replies != "off":
            request.headers.set("Accept-Encoding", "identity")

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        """Judge an answer: whole before it leaves where bad ones are refused, else as it passes."""
        how = exchange.options(self).replies
        operation = None if how == "off" or exchange.outcome.error else exchange.state.get(_OPERATION)
        if operation is None or operation.replies is None or exchange.request.method == "HEAD":
            return
        if reply.status in _BODILESS or reply.is_stream:
            return
        body = reply.body
        if how == "log" and isinstance(body, Body):
            self._watch(exchange, operation, reply, body)
            return
        if isinstance(body, Body):
            try:
                body = reply.body = await body.read(self.config.max_body)
            except BodyTooLarge:
                raise invalid_reply(f"it is larger than {self.config.max_body} bytes") from None
            reply.headers.remove("content-length")
        judge = partial(judge_reply, operation, reply, bytes(body), self.config.errors)
        faults = await judged(len(body), judge)
        self._tell(exchange, operation, faults)
        if faults and how == "refuse":
            raise invalid_reply("; ".join(fault.detail for fault in faults))

    def _watch(self, exchange: Exchange, operation: Operation, reply: Reply, body: Body) -> None:
        def complete() -> None:
            whole = recording.whole()
            if whole is None:
                return
            judge = partial(judge_reply, operation, reply, whole, self.config.errors)
            if len(whole) <= AT_ONCE:
                self._tell(exchange, operation, judge())
            else:
                work = self._judge_later(exchange, operation, len(whole), judge)
                self._runtime.spawn(work, name="judge-reply")

        recording = Recording(self.config.max_body, complete)
        body.observe(recording)

    async def _judge_later(
        self, exchange: Exchange, operation: Operation, size: int, judge: Callable[[], Sequence[Fault]]
    ) -> None:
        self._tell(exchange, operation, await judged(size, judge))

    def _tell(self, exchange: Exchange, operation: Operation, faults: Sequence[Fault]) -> None:
        if not faults:
            return
        self._faults.labels(exchange.route.name, "reply").inc()
        # Pointers hold names of members, which may be anybody's data.
        details = sorted({fault.detail for fault in faults})
        self._runtime.log.warning(
            "reply_not_valid", route=exchange.route.name, operation=operation.name, faults=details
        )

    def _judge(self, exchange: Exchange) -> Judge | None:
        name = exchange.route.name
        if name not in self._judges:
            options: ValidationRoute = exchange.options(self)
            self._judges[name] = options.judge()
        return self._judges[name]


async def judged(size: int, judge: Callable[[], Sequence[Fault]]) -> Sequence[Fault]:
    """Return what `judge` finds; a large body's is found in a thread, so that others are served meanwhile."""
    return await asyncio.to_thread(judge) if size > AT_ONCE else judge()


def judge_reply(operation: Operation, reply: Reply, body: bytes, most: int) -> Sequence[Fault]:
    """Return what is wrong with an answer."""
    content = operation.reply_content(reply.status)
    if content is None:
        return [Fault("status", "", "is not declared")]
    kind = reply.headers.get("content-type") or ""
    media = media_of(content, kind)
    if media is None:
        return [Fault("body", "", "is of a type that is not declared")] if content and body else ()
    if reply.headers.has(b"content-encoding"):
        return [Fault("body", "", "is compressed though nobody asked for it")]
    return judge_body(media, kind, body, most)
