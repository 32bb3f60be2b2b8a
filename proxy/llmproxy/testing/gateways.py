"""A whole gateway in the test's own process and loop: listeners, admin listener, generations."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from llmproxy.bindings import ADMIN, bindings
from llmproxy.config import Config, decode, parse
from llmproxy.control import Controller, Worker
from llmproxy.errors import StartError
from llmproxy.log import LogSink, configure
from llmproxy.orders import ReloadResult
from llmproxy.settings import LogConfig
from llmproxy.sockets import close_listeners, open_listeners
from llmproxy.testing.classes import with_names

if TYPE_CHECKING:
    from llmproxy.gateway import Gateway
    from llmproxy.sockets import Listener
    from llmproxy.worker import Serving

#: Seconds that running exchanges get when the gateway stops.
DRAIN = 5.0

Written = str | Mapping[str, Any]


class RunningGateway:
    """A gateway that serves; `url` is its first listener, `admin_url` its admin listener, without a slash."""

    def __init__(
        self, serving: Serving, listeners: tuple[Listener, ...], tree: dict[str, Any], lines: list[bytes]
    ) -> None:
        #: What was logged, a line each, rendered as the configuration says.
        self.log = lines
        self._serving = serving
        self._listeners = listeners
        self._tree = tree
        self._generation = 1
        serving.process.reload = self._reload_same

    @property
    def gateway(self) -> Gateway:
        """The core's own object: generations, process."""
        return self._serving.gateway

    @property
    def url(self) -> str:
        """Where callers connect."""
        return next(self._url(each) for each in self._listeners if each.binding.name != ADMIN)

    @property
    def admin_url(self) -> str:
        """Where the admin listener is."""
        return next(self._url(each) for each in self._listeners if each.binding.name == ADMIN)

    def _url(self, listener: Listener) -> str:
        host, port = listener.sock.getsockname()[:2]
        settings = self.gateway.current.config.listeners
        tls = any(each.tls and each.address == listener.binding.name for each in settings)
        return f"{'https' if tls else 'http'}://{host}:{port}"

    async def reload(self, config: Written) -> ReloadResult:
        """Build another configuration and swap it in, or keep what serves and say why."""
        tree = _tree(config)
        result = await self._swap(tree)
        if result.ok:
            self._tree = tree
        return result

    async def _reload_same(self) -> ReloadResult:
        return await self._swap(self._tree)

    async def _swap(self, tree: dict[str, Any]) -> ReloadResult:
        number = self._generation + 1
        try:
            notes = await self._serving.build(number, orjson.dumps(tree))
        except StartError as fault:
            await self._serving.abort(number)
            return ReloadResult(ok=False, generation=self._generation, reason=str(fault))
        await self._serving.commit(number)
        self._generation = number
        return ReloadResult(ok=True, generation=number, notes=tuple(notes))


@asynccontextmanager
async def running_gateway(
    config: Written, *, environ: Mapping[str, str] | None = None
) -> AsyncIterator[RunningGateway]:
    """Run a gateway by a configuration, given as YAML text or as a tree in which `use` may be a plugin class.

    Where it says no `listen` it takes a free loopback port, likewise for `admin`.

    Raises:
        StartError: the configuration cannot be served; one line says why.
    """
    from llmproxy.worker import Serving  # noqa: PLC0415  # brings aiohttp

    def read(data: bytes) -> Config:
        return decode(
            orjson.loads(data), environ=os.environ if environ is None else environ, read_file=_read_file
        )

    tree = _tree(config)
    data = orjson.dumps(tree)
    decoded = read(data)
    lines: list[bytes] = []
    async with AsyncExitStack() as stack:
        sink = stack.enter_context(_logging(decoded.log, LogSink(lines.append)))
        opened = open_listeners(bindings(decoded), 1)
        stack.callback(close_listeners, opened)
        serving = Serving(_worker(data, tuple(opened[0])), read, decoded, sink)
        stack.push_async_callback(serving.stop)
        await serving.start()
        yield RunningGateway(serving, tuple(opened[0]), tree, lines)


@contextmanager
def _logging(settings: LogConfig, sink: LogSink) -> Iterator[LogSink]:
    """Send logs to `sink` for a while; it is not started, so lines are written at once."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure(sink, settings)
    try:
        yield sink
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)


def _tree(config: Written) -> dict[str, Any]:
    given = parse(config, "yaml", "test configuration") if isinstance(config, str) else with_names(config)
    return {"listen": ["127.0.0.1:0"], "admin": {"listen": "127.0.0.1:0"}, **given}


def _worker(data: bytes, listeners: tuple[Listener, ...]) -> Worker:
    return Worker(
        slot=0,
        slots=1,
        generation=1,
        data=data,
        listeners=listeners,
        bus_directory=None,
        drain_timeout=DRAIN,
        link=_no_link,
    )


def _no_link(controller: Controller) -> Any:
    raise RuntimeError("the test itself is this gateway's supervisor")


def _read_file(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")
