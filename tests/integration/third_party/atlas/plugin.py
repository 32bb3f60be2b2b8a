"""All twelve hooks, all that may be registered, all of the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from atlas.config import AtlasConfig, AtlasRoute
from atlas.dialect import AtlasClient, AtlasUpstream
from atlas.journal import Almanac, Journal
from atlas.store import DictStore
from llmproxy.plugin import (
    AdminRequest,
    Attempt,
    CallNext,
    ChildRequest,
    Event,
    EventTransform,
    Exchange,
    GatewayError,
    NoConfig,
    Place,
    Plugin,
    Pool,
    Registry,
    Reply,
    Runtime,
    StateKey,
    StoredReply,
    UpstreamRequest,
    hookimpl,
)

SEEN: StateKey[float] = StateKey("atlas.seen")


class Shout:
    def feed(self, event: Event) -> Iterable[Event]:
        return [Event(event.data.upper())]

    def close(self) -> Iterable[Event]:
        return [Event(b"END")]


async def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
    return [[float(len(text)), float(text.count("a"))] for text in texts]


class LastFirst:
    def __init__(self, pool: Pool, options: NoConfig) -> None:
        self.pool = pool

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Sequence[Place]:
        return tuple(reversed(places))


class AtlasPlugin(Plugin[AtlasConfig]):
    """Uses everything."""

    Config = AtlasConfig
    RouteConfig = AtlasRoute
    wants_reply = True
    walks_pools = True

    def __init__(self, name: str, config: AtlasConfig) -> None:
        super().__init__(name, config)
        self._registered = False
        self._once = False
        self._contributed_for = ""

    @hookimpl
    def register(self, registry: Registry) -> None:
        self._registered = True
        registry.dialect("atlas", client=AtlasClient(), upstream=AtlasUpstream())
        registry.store_scheme("dict", DictStore)
        registry.strategy("last-first", LastFirst)
        registry.embedder("lengths", embed)
        registry.admin_route("GET", "/atlas/calls", self._show_calls, permission="read")
        registry.page("/atlas", "Atlas of calls", self._show_page)
        registry.public_route(["GET"], "/hello/{who}", self._hello)

    @hookimpl
    async def contribute_config(self, runtime: Runtime) -> dict[str, Any]:
        self._contributed_for = runtime.name
        match = {"path": "/contributed"}
        return {
            "routes": [{"name": "contributed", "match": match, "upstream": "api", "plugins": [self.name]}]
        }

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        self._runtime = runtime
        self._store = await runtime.store(self.config.store)
        self._exchanges = runtime.metrics.counter("atlas_exchanges_total", "Exchanges.", ("result",))
        self._embed = runtime.embedder("lengths")
        leave = runtime.bus.answer("atlas", lambda payload, asker: self._say(payload))
        async with runtime.shared("journal", Journal.open) as self._journal:
            runtime.provide(Almanac, Almanac(self._journal))
            self._journal.note("register" if self._registered else "")
            self._journal.note("contribute_config" if self._contributed_for == self.name else "")
            self._journal.note("lifespan")
            self._ticked = asyncio.Event()
            runtime.spawn(self._tick(), name="tick")
            runtime.spawn(self._run_once(), name="once", once_per_host=True)
            runtime.log.info("atlas_started", listeners=len(runtime.listeners), at=runtime.clock.wall())
            yield
            leave()

    def _say(self, payload: bytes) -> bytes:
        return payload + (b"1" if self._once else b"0")

    async def _tick(self) -> None:
        await self._runtime.clock.sleep(0)
        self._ticked.set()
        await asyncio.Event().wait()

    async def _run_once(self) -> None:
        self._once = True

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        self._note("pre_route", exchange)
        exchange.state[SEEN] = self._runtime.clock.now()
        asked = exchange.request.headers.get("x-atlas")
        return None if asked is None else await getattr(self, f"_do_{asked}")(exchange)

    async def _do_refuse(self, exchange: Exchange) -> Reply:
        raise GatewayError(418, "teapot", "No.")

    async def _do_answer(self, exchange: Exchange) -> Reply:
        await self._ticked.wait()
        return Reply.text("early")

    async def _do_embed(self, exchange: Exchange) -> Reply:
        return Reply.json(await self._embed(["banana", "fig"]))

    async def _do_call(self, exchange: Exchange) -> Reply | None:
        return await self._runtime.call(ChildRequest("GET", "/things/child"), exchange)

    async def _do_detach(self, exchange: Exchange) -> Reply:
        reply = await self._runtime.call(ChildRequest("GET", "/things/detached"), exchange, detached=True)
        return Reply.json({"reply": reply}, status=202)

    async def _do_reload(self, exchange: Exchange) -> Reply:
        result: Any = await self._runtime.request_reload()
        return Reply.json({"ok": result.ok, "generation": result.generation})

    async def _do_ask(self, exchange: Exchange) -> Reply:
        answers = await self._runtime.bus.ask("atlas", b"once:")
        return Reply.json(
            [self._say(b"once:").decode(), *(text.decode() for text in answers.payloads.values())]
        )

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        self._note("cache_lookup", exchange)
        body = await self._store.get(self._key(exchange))
        return None if body is None else Reply.text(body.decode(), content_type="application/json")

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        self._note("around_upstream", exchange)
        pool = exchange.endpoints
        if not isinstance(pool, Pool):
            return await call_next(exchange)
        for place in pool.strategy.order(exchange, pool.places):
            exchange.endpoint = place.endpoint
            reply = await call_next(exchange)
            if reply.status != 503:
                break
        return reply

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        self._note("transform_request", exchange)
        request.headers.set("x-signed-by", self.name)

    @hookimpl
    def attempt_done(self, exchange: Exchange, attempt: Attempt) -> None:
        self._note("attempt_done", exchange)

    @hookimpl
    async def cache_store(self, exchange: Exchange, reply: StoredReply) -> None:
        self._note("cache_store", exchange)
        if reply.status == 200 and exchange.request.path.startswith("/things"):
            await self._store.set(self._key(exchange), reply.body, self.config.ttl)

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        self._note("transform_response", exchange)
        reply.headers.set("x-atlas", exchange.outcome.cache or "none")

    @hookimpl
    def transform_stream(self, exchange: Exchange) -> EventTransform | None:
        self._note("transform_stream", exchange)
        return Shout() if exchange.options(self).shout else None

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        self._note("post_response", exchange)
        outcome = exchange.outcome
        self._exchanges.labels(outcome.result).inc()
        kept = "none" if outcome.reply is None else len(outcome.reply.body)
        child = "" if exchange.parent is None else f" child of {exchange.parent.id}"
        self._journal.note(f"end {exchange.request.path} {outcome.result} kept {kept}{child}")

    def _note(self, hook: str, exchange: Exchange) -> None:
        self._journal.note(hook)

    def _key(self, exchange: Exchange) -> bytes:
        return "\0".join([exchange.caller.tenant, exchange.route.name, exchange.request.target]).encode()

    async def _hello(self, exchange: Exchange) -> Reply:
        return Reply.json({"hello": exchange.params["who"]})

    async def _show_calls(self, request: AdminRequest) -> Reply:
        return Reply.json({"opened": Journal.opened, "calls": self._journal.calls})

    async def _show_page(self, request: AdminRequest) -> Reply:
        return Reply.text("<h1>Atlas</h1>", content_type="text/html")


class ReaderPlugin(Plugin[NoConfig]):
    """Needs the service of the plugin above it."""

    after = ("atlas",)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        self._almanac = runtime.require(Almanac)
        yield

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        self._almanac.journal.note("reader")
