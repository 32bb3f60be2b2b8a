"""Logs each exchange once, off the data path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import random

from llmproxy.plugin import Exchange, Plugin, Runtime, hookimpl
from llmproxy_accesslog.config import AccessLogConfig
from llmproxy_accesslog.line import Line, take

_BROKEN = frozenset({"upstream_error", "cut"})


class AccessLogPlugin(Plugin[AccessLogConfig]):
    """One line an exchange, formatted and written by the log's own thread."""

    Config = AccessLogConfig
    prompt = True

    def __init__(self, name: str, config: AccessLogConfig) -> None:
        super().__init__(name, config)
        omit = config.omit if config.path else (*config.omit, "path", "query")
        self._line = Line(omit, config.client)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Find where lines go."""
        self._sink = runtime.sink
        yield

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        """Log the exchange, if it is one that is wanted."""
        outcome = exchange.outcome
        if outcome.status >= 500 or outcome.result in _BROKEN:
            level = "warning"
        elif self._wants(outcome.status):
            level = "info"
        else:
            return
        self._sink.put(level, "exchange", self._line.fields, take(exchange))

    def _wants(self, status: int) -> bool:
        if self.config.level != "info" or not self._sink.wants("info"):
            return False
        sample = self.config.sample
        return sample >= 1 or status >= 400 or random() < sample  # noqa: S311  # no secret hangs on it
