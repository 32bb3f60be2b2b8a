"""What a plugin gets from the gateway: stores, services, tasks, the bus, child exchanges."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from llmproxy.caching.spaces import Spaces
from llmproxy.chores import Chore
from llmproxy.errors import StartError
from llmproxy.keyring import KeyStates
from llmproxy.log import LogSink
from llmproxy.messages import Headers
from llmproxy.sharing import SharedPool
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.bus import Bus
    from llmproxy.caching.deriving import Forms
    from llmproxy.caching.purges import Purge
    from llmproxy.caching.space import CacheSpace
    from llmproxy.caching.spaces import PurgeOutcome
    from llmproxy.exchange import Endpoint, Exchange
    from llmproxy.members import MemberList, PoolMember
    from llmproxy.membership import Membership
    from llmproxy.messages import ClientRequest, Reply
    from llmproxy.metrics import Metrics
    from llmproxy.pools import Pool
    from llmproxy.registry import Embedder
    from llmproxy.route import Route
    from llmproxy.routing import Match
    from llmproxy.stores import Store
    from llmproxy.tariff import Tariff

T = TypeVar("T")


class Clock:
    """Time: `now()` never jumps and is for intervals, `wall()` is for people and stamps. Both in seconds."""

    #: Return monotonic seconds. (The C function itself: this is asked several times a request.)
    now = staticmethod(time.monotonic)

    def wall(self) -> float:
        """Return seconds since 1970 UTC."""
        return time.time()  # noqa: TID251  # this is the clock

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class ChildRequest:
    """A request that the gateway makes of itself, matched and served like a caller's.

    `deadline` is a time on the gateway's clock, at which its attempts end; its parent's where that is earlier.
    """

    method: str
    target: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)
    deadline: float = 0.0


class Gate(Protocol):
    """What the runtime needs of the generation that it belongs to."""

    async def open_store(self, name: str) -> Store:
        """Return the configured store of that name, open."""

    async def call(self, request: ChildRequest, parent: Exchange | None) -> Reply:
        """Run a child exchange to its reply."""

    def match(self, request: ClientRequest) -> Match[Route]:
        """Find a request's route."""

    def child(self, request: ChildRequest, parent: Exchange | None) -> Exchange:
        """Make a child exchange."""

    async def run(self, exchange: Exchange) -> Reply:
        """Run one that was made."""

    async def rehearse(self, exchange: Exchange) -> Reply | None:
        """Run one as far as the caches would be asked."""

    @property
    def embedders(self) -> dict[str, Embedder]:
        """The registered embedders."""

    @property
    def forms(self) -> Forms:
        """What derives an answer's other forms."""

    @property
    def tariff(self) -> Tariff:
        """What calls to the configured upstreams cost."""

    @property
    def members(self) -> Membership:
        """What discovery plugins list."""


@dataclass(slots=True)
class Process:
    """What one worker process owns, whatever generation serves."""

    metrics: Metrics
    bus: Bus
    slot: int = 0
    sink: LogSink = field(default_factory=LogSink)
    clock: Clock = field(default_factory=Clock)
    shared: SharedPool = field(default_factory=SharedPool)
    spaces: Spaces = field(default_factory=Spaces)
    keys: KeyStates = field(default_factory=KeyStates)
    #: The last list of each discovery plugin, and the settings that it is for.
    last_members: dict[str, tuple[object, tuple[PoolMember, ...]]] = field(default_factory=dict)
    reload: Callable[[], Awaitable[object]] | None = None


class Services:
    """Typed services between the plugins of one generation."""

    def __init__(self) -> None:
        self._by_type: dict[type[Any], tuple[str, Any]] = {}

    def provide(self, plugin: str, kind: type[T], service: T) -> None:
        """Offer `service` as the one of its kind."""
        if kind in self._by_type:
            other = self._by_type[kind][0]
            raise StartError(f"plugin {plugin!r}: {kind.__name__!r} is provided by plugin {other!r} already")
        self._by_type[kind] = (plugin, service)

    def require(self, plugin: str, kind: type[T]) -> T:
        """Return the service of that kind."""
        if kind not in self._by_type:
            raise StartError(
                f"plugin {plugin!r} needs {kind.__name__!r}, which no plugin listed above it provides"
            )
        return cast("T", self._by_type[kind][1])


class Runtime:
    """The gateway as one plugin instance sees it, for one generation."""

    def __init__(
        self, name: str, process: Process, gate: Gate, services: Services, listeners: Sequence[str] = ()
    ) -> None:
        self.name = name
        #: The addresses that callers connect to, as the configuration writes them.
        self.listeners = tuple(listeners)
        self.clock = process.clock
        self.metrics = process.metrics
        self.bus = process.bus
        #: Where log lines go off the hot path.
        self.sink = process.sink
        # Imported by who runs plugins, not by who writes one (it takes as long as all else together).
        import structlog  # noqa: PLC0415

        self.log: Any = structlog.get_logger("llmproxy").bind(plugin=name)
        self._process = process
        self._gate = gate
        self._services = services
        self._tasks: set[asyncio.Task[Any]] = set()
        #: What this plugin wants done before the gateway says that it is ready.
        self.chores: list[Chore] = []

    async def store(self, name: str) -> Store:
        """Return the store that the configuration calls `name`, open and shared with other plugins."""
        return await self._gate.open_store(name)

    @property
    def tariff(self) -> Tariff:
        """What calls to the configured upstreams cost; await its `load` before the first price is asked for."""
        return self._gate.tariff

    @property
    def members(self) -> MemberList:
        """The addresses that this plugin lists, if it says that it does (`lists_members`)."""
        return self._gate.members.of(self.name)

    @property
    def pools(self) -> Mapping[str, Pool]:
        """All pools of this generation by name; none before its routes are built, which is after `lifespan`."""
        return self._gate.members.pools

    async def probe(self, endpoint: Endpoint, path: str, *, within: float) -> int:
        """GET `path` behind an endpoint's base URL on a connection of its own; return the answer's status.

        Raises:
            UpstreamError: no answer came within so many seconds.
            LookupError: it is no endpoint of this generation, or has left.
        """
        from llmproxy.probe import probe  # noqa: PLC0415  # few gateways ask of their own accord

        upstream = self._gate.members.upstream(endpoint)
        if upstream is None:
            raise LookupError(f"{endpoint} is not there")
        return await probe(upstream, path, within)

    async def ask(self, upstream: str, target: str, body: bytes, *, within: float) -> Reply:
        """POST JSON behind an upstream's base URL by itself, through no route and no plugin; see `asking.ask`."""
        from llmproxy.asking import ask  # noqa: PLC0415  # few gateways ask of their own accord

        return await ask(self._gate.members, upstream, target, body, within, self.clock.now())

    @property
    def starting(self) -> bool:
        """Whether the gateway starts, rather than reloads."""
        return self._process.reload is None

    @property
    def forms(self) -> Forms:
        """What says in which form an answer is, and derives others from it."""
        return self._gate.forms

    @asynccontextmanager
    async def cache_space(self, name: str) -> AsyncIterator[CacheSpace]:
        """Hold the entries and purges of the store called `name`; one space a store, whoever caches in it."""
        from llmproxy.caching.openspace import open_watched  # noqa: PLC0415  # not every gateway caches

        store = await self.store(name)
        make = partial(open_watched, name, store, self.metrics, self.bus)
        async with self._process.shared.use(("cache-space", store), make) as space:
            with self._process.spaces.hold(name, space):
                yield space

    async def purge(self, *purges: Purge, store: str | None = None) -> PurgeOutcome:
        """Purge in one store, or in all that are used as caches; every worker of this host obeys when it returns.

        Raises:
            ValueError: a purge names nothing, or a URL that is none.
            GatewayError: the store is not used as a cache (404).
        """
        from llmproxy.caching.purges import PurgeOrder  # noqa: PLC0415  # not every gateway caches

        return await self._process.spaces.purge(PurgeOrder(purges, store))

    def shared(
        self, key: object, factory: Callable[[], AbstractAsyncContextManager[T]]
    ) -> AbstractAsyncContextManager[T]:
        """Hold a thing that survives reloads while somebody holds it, made by `factory` on first use."""
        return self._process.shared.use((type(key), key), factory)

    def provide(self, kind: type[T], service: T) -> None:
        """Offer a service to the plugins listed below this one."""
        self._services.provide(self.name, kind, service)

    def require(self, kind: type[T]) -> T:
        """Return the service of that kind which a plugin listed above provides."""
        return self._services.require(self.name, kind)

    def embedder(self, name: str) -> Embedder:
        """Return a registered embedder."""
        try:
            return self._gate.embedders[name]
        except KeyError:
            known = ", ".join(sorted(self._gate.embedders)) or "none"
            raise StartError(
                f"plugin {self.name!r}: no embedder {name!r} is registered (known: {known})"
            ) from None

    def spawn(
        self, work: Coroutine[Any, Any, Any], *, name: str, once_per_host: bool = False
    ) -> asyncio.Task[Any] | None:
        """Run background work until it ends or the generation does.

        `once_per_host` runs it in one worker of this host only and returns None in the others.
        """
        if once_per_host and self._process.slot != 0:
            work.close()
            return None
        task = spawn(work, name=f"{self.name}:{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def before_ready(self, work: Callable[[], Awaitable[None]], *, name: str, within: float) -> None:
        """Have `work` done when the gateway starts and this generation serves, before it says that it is ready.

        It waits `within` seconds at most; what fails is logged. A generation that comes by a reload does none of it.
        """
        self.chores.append(Chore(self.name, name, work, within))

    def warm_on_start(self, file: str, *, within: float) -> None:
        """Have the requests of a warm file made before the gateway says that it is ready; see `before_ready`."""
        from llmproxy.caching.warming import warm_from  # noqa: PLC0415  # few gateways are warmed

        work = partial(warm_from, self._gate, Path(file), self.clock, self.log)
        self.before_ready(work, name="warm", within=within)

    async def close(self) -> None:
        """Stop this generation's background work."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    async def request_reload(self) -> object:
        """Ask for a reload of the configuration on all workers; returns its result."""
        if self._process.reload is None:
            raise RuntimeError("this process has no configuration source to reload from")
        return await self._process.reload()

    async def call(
        self, request: ChildRequest, parent: Exchange | None = None, *, detached: bool = False
    ) -> Reply | None:
        """Run a child exchange through the pipeline, with its parent's caller, deadline and accounting.

        With `detached` it runs in the background, outlives the parent, and None is returned at once.
        """
        if not detached:
            return await self._gate.call(request, parent)
        self.spawn(self._detached(request, parent), name="detached-call")
        return None

    async def _detached(self, request: ChildRequest, parent: Exchange | None) -> None:
        reply = await self._gate.call(request, parent)
        if reply.streamed:
            async for _ in reply.body.pieces():  # type: ignore[union-attr]
                pass
