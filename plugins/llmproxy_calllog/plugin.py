"""Keeps one record of each call, off the data path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from llmproxy.plugin import (
    Attempt,
    Exchange,
    Plugin,
    Registry,
    Reply,
    Runtime,
    StartError,
    hookimpl,
)
from llmproxy_calllog.bodies import READ
from llmproxy_calllog.config import Bodies, CallLogConfig, CallLogRoute, strictest
from llmproxy_calllog.copies import Copy
from llmproxy_calllog.opening import Place, open_reader, open_writer
from llmproxy_calllog.reading import Desk
from llmproxy_calllog.taking import WATCHED, Ended, Kept, Watched, kept, take, tried
from llmproxy_calllog.telling import Teller
from llmproxy_calllog.waiting import Waiting, is_open
from llmproxy_calllog.writer import Writer

#: Seconds between two looks at what is too old.
_TIDY_EVERY = 30.0


class _Known(NamedTuple):
    ended: Ended
    kept: Kept | None
    size: int


class CallLogPlugin(Plugin[CallLogConfig]):
    """One searchable record a call: who asked for what, which way it went, what came of it and what it cost."""

    Config = CallLogConfig
    RouteConfig = CallLogRoute
    on_error = "open"
    _writer: Writer
    _teller: Teller
    _desk: Desk

    def __init__(self, name: str, config: CallLogConfig) -> None:
        super().__init__(name, config)
        self._read = READ * config.body_limit
        #: What is kept of bodies, by route, where all tenants are alike.
        self._modes: dict[str, Bodies] = {}
        self._waiting: Waiting[_Known] = Waiting(config.queue_size)

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer what is in the database."""
        if self.config.to in {"sqlite", "postgres"}:
            registry.admin_route("GET", "/logs", self._logs, permission="read")

    async def _logs(self, request: object) -> Reply:
        return await self._desk.answer(request)  # type: ignore[arg-type]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Hold the writer, which outlives generations, and have what is too old deleted by one worker."""
        config, self._clock = self.config, runtime.clock
        await runtime.tariff.load()
        self._teller = Teller(runtime.tariff, config.body_limit)
        self._desk = Desk(partial(open_reader, Path(config.path), config.url), runtime.clock)
        place = Place(
            *(config.to, config.path, config.search, config.queue, config.queue_size, config.rotate_at),
            config.url,
        )
        try:
            async with runtime.shared(place, partial(open_writer, place, runtime)) as writer:
                self._writer = writer
                runtime.spawn(self._tidy(runtime), name="tidy", once_per_host=True)
                yield
                for exchange, known in self._waiting.rest():
                    self._put(exchange, known)
        except OSError as fault:
            raise StartError(
                f"plugin {self.name!r}: {config.path!r} cannot be used: {fault.strerror}"
            ) from fault

    async def _tidy(self, runtime: Runtime) -> None:
        while True:
            self._writer.ask_to_tidy(self.config.keep, self.config.max_size)
            await runtime.clock.sleep(_TIDY_EVERY)

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        """Look at what a reply says of caches, and keep a bounded copy of it where one is wanted."""
        cache = exchange.outcome.cache
        mode = self._mode(exchange)
        if mode == "off" and not cache:
            return
        answer = None if mode == "off" or exchange.upgraded else Copy.of(reply, self._read)
        status = reply.headers.index.get(b"cache-status", b"") if cache else b""
        exchange.state[WATCHED] = Watched(mode, answer, status)

    def _mode(self, exchange: Exchange) -> Bodies:
        """Return what is kept of this exchange's bodies: the stricter of what route and tenant say."""
        config, name = self.config, exchange.route.name
        mode = self._modes.get(name)
        if mode is not None:
            return mode
        said = exchange.route.options.get(self.name)
        route = said.bodies if isinstance(said, CallLogRoute) else None
        if config.tenants:
            return strictest(route, config.tenants.get(exchange.caller.tenant)) or config.bodies
        mode = self._modes[name] = route or config.bodies
        return mode

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        """Have the call written, or wait for an attempt of it that goes on."""
        state = exchange._state  # asking for `state` would make one
        watched = None if state is None else state.get(WATCHED)
        ended = take(exchange, self._clock.wall(), watched)
        mode = self._mode(exchange) if watched is None else watched.mode
        bodies, size = None, 0
        if mode != "off":
            bodies = kept(exchange, watched or Watched(mode, None, b""), self._read)
            size = len(bodies.request or b"") + (
                0 if bodies.answer is None else min(bodies.answer.size, self._read)
            )
        if is_open(exchange.attempts):
            for oldest in self._waiting.hold(exchange, _Known(ended, bodies, size), size):
                self._put(*oldest)
            return
        self._writer.put(self._teller, ended, bodies, size)

    @hookimpl
    def attempt_done(self, exchange: Exchange, attempt: Attempt) -> None:
        """Have a call written that has waited for this attempt."""
        if self._waiting and (known := self._waiting.done(exchange)) is not None:
            self._put(exchange, known)

    def _put(self, exchange: Exchange, known: _Known) -> None:
        ended = known.ended._replace(tried=tried(exchange.attempts))
        self._writer.put(self._teller, ended, known.kept, known.size)
