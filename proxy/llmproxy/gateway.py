"""Generations: a whole configuration, built, started, swapped in, drained."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

import structlog

from llmproxy.assembly import Assembly
from llmproxy.body import OPEN, Body
from llmproxy.doors import Door, door_of
from llmproxy.errors import GatewayError, StartError
from llmproxy.exchange import Exchange
from llmproxy.keypaths import join_key
from llmproxy.membership import Membership
from llmproxy.messages import ClientRequest, Headers, Reply
from llmproxy.preflights import route_of
from llmproxy.problems import problem
from llmproxy.routebuilding import build_routes
from llmproxy.routing import Match, Router
from llmproxy.runtime import ChildRequest, Process, Runtime, Services
from llmproxy.settings import StoreConfig
from llmproxy.tariff import Tariff
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.caching.deriving import Forms
    from llmproxy.chores import Chore
    from llmproxy.config import Config
    from llmproxy.registry import AdminRoute, Embedder, Plugin
    from llmproxy.route import Route
    from llmproxy.stores import Store

#: Requests (method, host, target) whose route is remembered where nothing else decides it, and how long host and
#: target may be: whoever asks, key or not, decides what stands there.
_REMEMBERED = 4096
_LONGEST = 512

#: Where translations keep what callers refer to, unless the configuration names a store. By recency: what nobody
#: can fetch again must not lose its place to what was asked for more often.
_MEMORY = "memory://?max_bytes=64MiB&policy=lru"

_log = structlog.get_logger("llmproxy")


class Generation:
    """One configuration, in service or on its way there or out.

    `active` counts the exchanges that run on it; `retire` waits for them.
    """

    def __init__(self, config: Config, process: Process, listeners: Sequence[str] = ()) -> None:
        self.process = process
        self.assembly = Assembly(config)
        self.listeners = tuple(listeners) or tuple(each.address for each in config.listeners)
        #: What discovery plugins list, and where it stands.
        self.members = Membership(process, self.assembly)
        self.active = 0
        self.router: Router[Route] = Router(())
        self._known: dict[tuple[str, str, str], Match[Route]] = {}
        self._stack = AsyncExitStack()
        self._runtimes: list[Runtime] = []
        self._idle: asyncio.Event | None = None
        self._stores: dict[str, Store] = {}
        self._memory: Store | None = None

    @property
    def config(self) -> Config:
        """The configuration, contributions included."""
        return self.assembly.config

    @property
    def plugins(self) -> Sequence[Plugin[Any]]:
        """The plugin instances, in config order."""
        return self.assembly.table.plugins

    @property
    def admin_routes(self) -> Sequence[AdminRoute]:
        """What plugins serve on the admin listener."""
        return self.assembly.registered.admin_routes

    @property
    def embedders(self) -> dict[str, Embedder]:
        """The registered embedders."""
        return self.assembly.registered.embedders

    @property
    def forms(self) -> Forms:
        """What derives an answer's other forms."""
        return self.assembly.forms

    @cached_property
    def tariff(self) -> Tariff:
        """What calls to the configured upstreams cost."""
        return Tariff(self.assembly.providers, self.process.clock, self.config.prices)

    async def start(self, environ: Mapping[str, str] = os.environ) -> None:
        """Build and start everything; on failure, stop what was started and raise.

        Raises:
            StartError: one line that names what is wrong.
        """
        try:
            await self._start(environ)
        except BaseException:
            await self._stop()
            raise

    async def _start(self, environ: Mapping[str, str]) -> None:
        services = Services()
        runtimes = {
            plugin.name: Runtime(plugin.name, self.process, self, services, self.listeners)
            for plugin in self.assembly.table.plugins
        }
        self._runtimes = list(runtimes.values())
        for plugin, hook in self.assembly.table.methods("contribute_config"):
            fragment = await _named(plugin.name, "contribute_config", hook(runtimes[plugin.name]))
            if fragment is not None:
                self.assembly.contribute(plugin.name, fragment, environ)
        for plugin, hook in self.assembly.table.methods("lifespan"):
            await _named(plugin.name, "lifespan", self._enter(hook, runtimes[plugin.name]))
        routes = build_routes(self.assembly, self.process, environ)
        self._stack.callback(self.members.close)
        self.members.settle(self.assembly.upstreams, self.assembly.pools.values(), routes)
        self.router = Router(routes)
        self.door = door_of(routes)
        for route in routes:
            route.open_memory = self.open_memory
        if self.process.shared.holds(_MEMORY):
            # What the generation before kept outlives it, though nobody has asked this one yet.
            await self.open_memory()

    async def _enter(self, hook: Callable[..., Any], runtime: Runtime) -> None:
        manager = hook(runtime)
        await manager.__aenter__()
        self._stack.push_async_callback(_leave, runtime.name, manager)

    async def open_store(self, name: str) -> Store:
        """Return the store of that name, open; it survives reloads while its settings stay the same."""
        if name not in self._stores:
            settings = self.config.stores.get(name)
            if settings is None:
                known = ", ".join(sorted(self.config.stores)) or "none"
                raise StartError(f"no store is called {name!r} (configured: {known})")
            make = self.assembly.opener(settings, join_key("stores", name))
            opened = self.process.shared.use(("store", settings), make)
            self._stores[name] = await self._stack.enter_async_context(opened)
        return self._stores[name]

    async def open_memory(self) -> Store:
        """Return the store of what translations keep: the one that the configuration names, else this worker's own."""
        if self.config.memory is not None:
            return await self.open_store(self.config.memory)
        if self._memory is None:
            opened = self.process.shared.use(_MEMORY, self.assembly.opener(StoreConfig(url=_MEMORY)))
            self._memory = await self._stack.enter_async_context(opened)
        return self._memory

    def chores(self) -> list[Chore]:
        """Return what plugins want done before the gateway says that it is ready."""
        return [chore for runtime in self._runtimes for chore in runtime.chores]

    def open_stores(self) -> list[Store]:
        """Return the stores that plugins of this generation use."""
        return list(self._stores.values())

    def match(self, request: ClientRequest) -> Match[Route]:
        """Find the route of a request.

        Raises:
            GatewayError: what its caller is told: a bad target (400), no route (404), another method (405).
        """
        asked = (request.method, request.host, request.target)
        known = self._known.get(asked)
        if known is not None:
            return known
        found = route_of(self.router, request)
        # An OPTIONS may be a preflight, whose route its fields decide.
        short = len(request.host) + len(request.target) <= _LONGEST and request.method != "OPTIONS"
        if short and self.router.unconditional and not found.params and len(self._known) < _REMEMBERED:
            face = found.route.pinned_face(request.path)
            found = self._known[asked] = Match(found.route, found.params, face)
        return found

    def shape(self, error: GatewayError, path: str, headers: Headers | None = None) -> Reply:
        """Return an error for a caller whose route is not known, by the face that its path or headers suggest."""
        face = self.assembly.faces.choose(path, headers)
        return problem(error) if face is None else face.error(error)

    async def call(self, request: ChildRequest, parent: Exchange | None) -> Reply:
        """Run a child exchange through the pipeline, as its parent's caller and within its deadline."""
        return await self.run(self.child(request, parent))

    def child(self, request: ChildRequest, parent: Exchange | None) -> Exchange:
        """Make a child exchange for its parent's caller, within its deadline.

        Raises:
            GatewayError: no route is the request's.
        """
        asked = _asked(request, parent)
        return _child(request, asked, self.match(asked), parent, self.process.clock.now())

    async def run(self, exchange: Exchange) -> Reply:
        """Run a child exchange through the pipeline to its reply."""
        self.active += 1
        try:
            reply = await exchange.route.pipeline.answer(exchange)
        except BaseException:
            exchange.outcome.result = "cut"
            await self._ended(exchange)
            raise
        exchange.outcome.status = reply.status
        exchange.outcome.result = exchange.outcome.result or "ok"
        if isinstance(reply.body, Body) and reply.body.state == OPEN:
            reply.body.observe(_Ending(self, exchange))
        else:
            await self._ended(exchange)
        return reply

    async def rehearse(self, exchange: Exchange) -> Reply | None:
        """Run a child exchange as far as the caches would be asked; see `Pipeline.rehearse`."""
        self.active += 1
        try:
            return await exchange.route.pipeline.rehearse(exchange)
        finally:
            await self._ended(exchange)

    async def _ended(self, exchange: Exchange) -> None:
        try:
            await exchange.route.pipeline.finish(exchange)
        finally:
            self.leave()

    def leave(self) -> None:
        """One exchange less."""
        self.active -= 1
        if self.active == 0 and self._idle is not None:
            self._idle.set()

    async def retire(self, timeout: float) -> None:
        """Wait for the exchanges that run, at most `timeout` seconds, then stop."""
        if self.active:
            self._idle = asyncio.Event()
            try:
                async with asyncio.timeout(timeout):
                    await self._idle.wait()
            except TimeoutError:
                _log.warning("generation_retired_busy", active=self.active)
        await self._stop()

    async def _stop(self) -> None:
        for runtime in self._runtimes:
            await runtime.close()
        try:
            await self._stack.aclose()
        except Exception as fault:  # a plugin's clean-up must not keep the others from theirs
            _log.error("generation_stop_failed", exc_info=fault)


def _asked(request: ChildRequest, parent: Exchange | None) -> ClientRequest:
    host = request.headers.get("host") or ""
    scheme, client = ("http", "") if parent is None else (parent.request.scheme, parent.request.client)
    return ClientRequest(
        request.method, request.target, request.headers, scheme, host, client, listener="child"
    )


def _child(
    request: ChildRequest, asked: ClientRequest, match: Match[Route], parent: Exchange | None, started: float
) -> Exchange:
    name = "child"
    if parent is not None:
        name = f"{parent.id}.{parent.children}"
        parent.children += 1
    exchange = Exchange(asked, match.route, name, started)
    exchange.params = dict(match.params)
    exchange.client_face = match.route.face_of(asked)
    exchange.upload = request.body
    exchange.parent = parent
    exchange.deadline = request.deadline
    if parent is not None:
        exchange.caller = parent.caller
        exchange.may_ask = parent.may_ask
        exchange.deadline = min(filter(None, (parent.deadline, request.deadline)), default=0.0)
        exchange.trace = parent.trace
    return exchange


class _Ending:
    """Ends a child exchange when its streamed reply does."""

    def __init__(self, generation: Generation, exchange: Exchange) -> None:
        self._generation = generation
        self._exchange = exchange

    def feed(self, data: bytes) -> None:
        self._exchange.outcome.bytes_out += len(data)

    def end(self) -> None:
        _ = spawn(
            self._generation._ended(self._exchange), name="child-ended"
        )  # the class is half of Generation

    def fail(self, error: BaseException) -> None:
        self._exchange.outcome.result = "cut"
        self.end()


async def _leave(plugin: str, manager: AbstractAsyncContextManager[None]) -> None:
    """Leave one lifespan; what it raises must not be thrown into the others."""
    try:
        await manager.__aexit__(None, None, None)
    except Exception as fault:
        _log.error("lifespan_exit_failed", plugin=plugin, exc_info=fault)


async def _named(plugin: str, hook: str, work: Any) -> Any:
    """Await a plugin's start-up work; name the plugin if it fails."""
    try:
        return await work
    except StartError as fault:
        raise fault if repr(plugin) in str(fault) else StartError(f"plugin {plugin!r}: {fault}") from fault
    except Exception as fault:
        raise StartError(f"plugin {plugin!r}: {hook} failed: {type(fault).__name__}: {fault}") from fault


class Gateway:
    """What serves: the current generation, and the one that may replace it."""

    def __init__(self, process: Process, drain_timeout: float = 600.0) -> None:
        self.process = process
        self._drain_timeout = drain_timeout
        self._current: Generation | None = None
        self._next: Generation | None = None
        self.retiring: set[asyncio.Task[None]] = set()
        #: Who stands at the door; None where nobody does.
        self.door: Door | None = None

    @property
    def current(self) -> Generation:
        """The generation that takes new exchanges."""
        if self._current is None:
            raise RuntimeError("no generation serves yet")
        return self._current

    @property
    def serving(self) -> bool:
        """Whether a generation serves."""
        return self._current is not None

    async def build(self, config: Config) -> None:
        """Build and start the next generation beside the current one.

        Raises:
            StartError: why it cannot serve; the current one is untouched.
        """
        await self.abort()
        generation = Generation(config, self.process)
        await generation.start()
        self._next = generation

    @property
    def built(self) -> Generation | None:
        """The generation that was built and not swapped in yet."""
        return self._next

    def commit(self) -> None:
        """Swap the built generation in; the old one finishes what it began."""
        if self._next is None:
            raise RuntimeError("nothing was built")
        old, self._current, self._next = self._current, self._next, None
        self.door = self._current.door
        if old is not None:
            task = spawn(old.retire(self._drain_timeout), name="retire-generation")
            self.retiring.add(task)
            task.add_done_callback(self.retiring.discard)

    async def abort(self) -> None:
        """Drop what was built and not swapped in."""
        if self._next is not None:
            generation, self._next = self._next, None
            await generation.retire(0)

    async def close(self, timeout: float) -> None:
        """Retire everything."""
        await self.abort()
        if self.retiring:
            await asyncio.wait(self.retiring, timeout=timeout)
        if self._current is not None:
            await self._current.retire(timeout)
