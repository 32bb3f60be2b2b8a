"""Compresses answers on their way out."""

from __future__ import annotations

from typing import Final

from llmproxy.plugin import Exchange, Plugin, Reply, hookimpl
from llmproxy_compression.accepting import Choice
from llmproxy_compression.coding import compressed
from llmproxy_compression.config import CompressionConfig, CompressionRoute
from llmproxy_compression.eligible import Types, add_vary, confirm, large, mark, varies, whole

_NOT_MODIFIED: Final = 304


class CompressionPlugin(Plugin[CompressionConfig]):
    """Content codings by what the caller accepts."""

    Config = CompressionConfig
    prompt = True
    RouteConfig = CompressionRoute

    def __init__(self, name: str, config: CompressionConfig) -> None:
        super().__init__(name, config)
        self._choice = Choice(config.chosen)
        self._types = Types(config.types)

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        """Have the answer coded when every other plugin has had it, plain."""
        options: CompressionRoute = exchange.options(self)
        # What the gateway asks of itself is read here, and leaves with another answer.
        if not options.off and not exchange.upgraded and exchange.request.listener != "child":
            events = self.config.events if options.events is None else options.events
            exchange.finish = lambda reply: self._code(exchange, reply, events=events)

    def _code(self, exchange: Exchange, reply: Reply, *, events: bool) -> None:
        headers, request = reply.headers, exchange.request.headers
        if not varies(reply, self._types, events=events):
            if reply.status == _NOT_MODIFIED:
                confirm(headers, whole(request, b"if-none-match") or b"")
            return
        add_vary(headers)
        coding = self._choice.of(whole(request, b"accept-encoding"))
        if coding is None or not large(reply, self.config.min_size):
            return
        if exchange.request.method != "HEAD":
            reply.body = compressed(reply.body, coding)
        mark(headers, coding)
