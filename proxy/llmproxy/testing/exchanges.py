"""Exchanges made by hand, and served in this process by real pipelines, without a listening socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import orjson

from llmproxy.body import Body
from llmproxy.bus import Bus
from llmproxy.config import decode
from llmproxy.errors import GatewayError
from llmproxy.exchange import ANONYMOUS, Caller, Endpoint, Exchange
from llmproxy.gateway import Generation
from llmproxy.messages import ClientRequest, Headers, Reply
from llmproxy.metrics import Metrics
from llmproxy.registry import Plugin
from llmproxy.route import Route
from llmproxy.routing import Match
from llmproxy.runtime import Clock, Process
from llmproxy.settings import Match as Conditions
from llmproxy.testing.classes import with_names

if TYPE_CHECKING:
    from llmproxy.testing.upstream import FakeUpstream

#: Where the upstream is if a test gives none: nothing listens on the discard port.
NOWHERE = "http://127.0.0.1:9"


def make_process(clock: Clock | None = None) -> Process:
    """Make what outlives a generation: metrics, a bus without peers, a clock."""
    return Process(Metrics(), Bus(None, 0), clock=clock or Clock())


def make_exchange(  # noqa: PLR0913  # all by keyword
    method: str = "POST",
    path: str = "/v1/chat/completions",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | Mapping[str, Any] = b"",
    options: Mapping[str, msgspec.Struct] | None = None,
    params: Mapping[str, str] | None = None,
    caller: Caller = ANONYMOUS,
    model: str | None = None,
    streamed: bool = False,
    endpoints: Sequence[Endpoint] = (),
    parent: Exchange | None = None,
    route: str = "test",
    client: str = "127.0.0.1",
    name: str = "exchange-1",
    started: float = 0.0,
) -> Exchange:
    """Make an exchange as a hook meets it: headers known, body not yet read.

    Args:
        method: the request's method.
        path: the request's target, with its query if any.
        headers: header fields; `Host` and, for a mapping as body, `Content-Type` are filled in.
        body: what `await exchange.body()` gives; a mapping is sent as JSON.
        options: each plugin's `RouteConfig` by the plugin's name, for `exchange.options(plugin)`.
        params: the path's parameters.
        caller: who asks.
        model: the public model name, as if the body had been read.
        streamed: whether a stream is wanted, likewise.
        endpoints: the resolved places; the first is where the next attempt goes.
        parent: the exchange that this one is a child of.
        route: the route's name.
        client: the caller's address.
        name: the exchange's id.
        started: seconds on the gateway's clock.
    """
    fields = Headers.of({"Host": "gateway.test", **(headers or {})})
    if isinstance(body, Mapping):
        body = orjson.dumps(body)
        if "content-type" not in fields:
            fields.set("Content-Type", "application/json")
    request = ClientRequest(
        method, path, fields, host=fields.get("host") or "", client=client, listener="test"
    )
    exchange = Exchange(request, Route(route, Conditions(), options=dict(options or {})), name, started)
    exchange.upload = body
    exchange.params = dict(params or {})
    exchange.caller = caller
    exchange.model = model
    exchange.streamed = streamed
    exchange.endpoints = tuple(endpoints)
    exchange.endpoint = exchange.endpoints[0] if exchange.endpoints else None
    exchange.parent = parent
    return exchange


class Served(NamedTuple):
    """An exchange that has ended and its caller's reply, whole; `broken` is what a stream broke off with."""

    reply: Reply
    exchange: Exchange
    broken: BaseException | None = None

    @property
    def body(self) -> bytes:
        """The reply's body."""
        # What came out of a store may be a view of it.
        return b"" if isinstance(self.reply.body, Body) else bytes(self.reply.body)

    def json(self) -> Any:
        """Parse the reply's body as JSON."""
        return orjson.loads(self.body)


class Serving:
    """A started generation that serves exchanges handed to it."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation

    async def serve(self, exchange: Exchange) -> Served:
        """Match a fresh exchange to its route and serve it to its end, as a connection would."""
        request = exchange.request
        found = self.generation.router.match(
            request.method, request.host, request.path, request.headers.get, request.query
        )
        if not isinstance(found, Match):
            raise LookupError(  # noqa: TRY004  # what is wrong is the request
                f"no route takes {request.method} {request.path}: {found}"
            )
        exchange.route = found.route
        exchange.client_face = found.route.face_of(request)
        exchange.params = dict(found.params)
        exchange.started = self.generation.process.clock.now()
        self.generation.active += 1
        try:
            reply = await found.route.pipeline.answer(exchange)
            return await self._receive(exchange, reply)
        except asyncio.CancelledError:
            exchange.outcome.client_gone = True
            exchange.outcome.result = "client_gone"
            raise
        finally:
            await found.route.pipeline.finish(exchange)
            await _settled()
            self.generation.leave()

    async def _receive(self, exchange: Exchange, reply: Reply) -> Served:
        """Take the reply whole, and write down how it went."""
        outcome, broken = exchange.outcome, None
        outcome.status = reply.status
        outcome.first_byte_at = self.generation.process.clock.now()
        if isinstance(reply.body, Body):
            reply.body, broken = await _whole(reply.body)
        outcome.bytes_out = len(reply.body)
        if broken is not None:
            outcome.result = "cut"
            outcome.error = broken.code if isinstance(broken, GatewayError) else "upstream_cut"
        elif not outcome.result:
            outcome.result = "ok" if reply.status < 500 else "upstream_error"
        return Served(reply, exchange, broken)


async def _whole(body: Body) -> tuple[bytes, BaseException | None]:
    pieces: list[bytes] = []
    try:
        async for piece in body.pieces():
            pieces.append(piece)  # noqa: PERF401  # what came before a break counts
    except Exception as fault:  # told to the test
        return b"".join(pieces), fault
    return b"".join(pieces), None


async def _settled() -> None:
    """Wait until the stores have been written, which no caller waits for."""
    writing = [task for task in asyncio.all_tasks() if task.get_name() == "cache-store"]
    if writing:
        await asyncio.wait(writing)


@asynccontextmanager
async def running_route(
    plugins: Sequence[type[Plugin[Any]] | Mapping[str, Any]] | Mapping[str, Any],
    *,
    upstream: FakeUpstream | str | None = None,
    dialect: str = "http",
    options: Mapping[str, Mapping[str, Any]] | None = None,
    config: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    process: Process | None = None,
) -> AsyncIterator[Serving]:
    """Start a generation with one route that takes everything, and stop it again.

    Args:
        plugins: classes in their order, each named after itself, or the configuration's tables by instance
            name, `use` being a class or a name: `{"cache": {"use": CachePlugin, "ttl": "5m"}}`.
        upstream: where attempts go: a FakeUpstream, a base URL, or nowhere.
        dialect: the upstream's dialect; its plugin, if installed, need not be listed.
        options: each plugin's `RouteConfig` as the route writes it, by instance name.
        config: further sections of the configuration; its `routes` stand in place of the one.
        environ: what `${env:NAME}` in the configuration refers to.
        process: what outlives a generation; give the same one twice to see what survives a reload.
    """
    tables = _tables(plugins)
    url = upstream if isinstance(upstream, str) else NOWHERE if upstream is None else upstream.url
    refs = [{name: dict((options or {}).get(name, {}))} for name in tables]
    more = config or {}
    tree = {
        **more,
        "plugins": {**more.get("plugins", {}), **tables},
        "upstreams": {
            **more.get("upstreams", {}),
            "upstream": {"base_url": url, "dialect": dialect, "proxy": None},
        },
        "routes": more.get("routes") or [{"name": "test", "upstream": "upstream", "plugins": refs}],
    }
    decoded = decode(with_names(tree), environ=environ or {}, read_file=str)
    generation = Generation(decoded, process or make_process())
    async with AsyncExitStack() as stack:
        await generation.start({})
        stack.push_async_callback(generation.retire, 5.0)
        yield Serving(generation)


async def run_route(
    plugins: Sequence[type[Plugin[Any]]] | Mapping[str, Any], exchange: Exchange | None = None, **how: Any
) -> Served:
    """Serve one exchange (by default a bare POST) by a real route with these plugins, and stop it again.

    Further arguments are those of `running_route`.
    """
    async with running_route(plugins, **how) as serving:
        return await serving.serve(exchange or make_exchange())


def _tables(plugins: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(plugins, Mapping):
        return {name: {"use": table} if isinstance(table, type) else table for name, table in plugins.items()}
    return {_instance_name(each): {"use": each} for each in plugins}


def _instance_name(plugin: type[Plugin[Any]]) -> str:
    name = plugin.__name__
    return (name.removesuffix("Plugin") or name).lower()
