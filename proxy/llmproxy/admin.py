"""The admin listener: health, metrics, reload, the configuration, and what plugins add.

Theory. One handler takes every request and looks it up in the current table, so that a new generation brings
its own routes without touching the socket. `check` refuses a generation while it is built, `swap` serves it.
Health and metrics need no token, all else does. Programs send it as a bearer; a browser, which cannot, may
send it as the password of HTTP Basic, but for reading only: what a browser sends unasked must not change
anything.
"""

from __future__ import annotations

import binascii
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson
import structlog
from aiohttp import web

from llmproxy import adminpages
from llmproxy.adminwire import MAX_BODY, PrivateServer, send
from llmproxy.caching.desk import CacheDesk
from llmproxy.caching.warming import Children
from llmproxy.config import effective
from llmproxy.errors import ConfigError, GatewayError, StartError
from llmproxy.hooks import HOOKS, Hooks
from llmproxy.messages import ClientRequest, Headers, Reply
from llmproxy.orders import ReloadResult
from llmproxy.problems import problem
from llmproxy.redaction import redact_config
from llmproxy.registry import AdminHandler, AdminRequest, AdminRoute, Plugin
from llmproxy.routing import BadPath, MethodNotAllowed, Router
from llmproxy.settings import Match

if TYPE_CHECKING:
    from llmproxy.config import Config
    from llmproxy.references import Secret
    from llmproxy.runtime import Process

_log = structlog.get_logger("llmproxy")

SHORTEST_TOKEN: Final = 16
#: The bus topic on which workers answer with their metrics.
METRICS_TOPIC: Final = "metrics"

_CHALLENGE: Final = (("WWW-Authenticate", 'Bearer realm="llmproxy admin", Basic realm="llmproxy admin"'),)
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class View(Children, Protocol):
    """What the admin listener needs of a generation."""

    @property
    def config(self) -> Config:
        """The configuration, contributions included."""

    @property
    def plugins(self) -> Sequence[Plugin[Any]]:
        """The plugin instances, in config order."""

    @property
    def admin_routes(self) -> Sequence[AdminRoute]:
        """What the plugins registered."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A route of the admin listener; without `permission` it is open to whoever reaches the socket."""

    match: Match
    handler: AdminHandler
    permission: str = ""


@dataclass(frozen=True, slots=True)
class _Table:
    """The routes and the token of one generation."""

    router: Router[_Entry]
    token: Secret | None


class AdminServer:
    """Serves the admin routes of whatever generation is current, for one worker.

    Set `draining` or, before all is done that has to be, `busy`, to be told as not ready while the rest is answered.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._open = [
            _entry("/livez", self._live),
            _entry("/readyz", self._ready),
            _entry("/metrics", self._metrics),
        ]
        self._table = _Table(Router(self._open), None)
        self._view: View | None = None
        self._desk = CacheDesk(process, self._current)
        self._serving = False
        self.draining = self.busy = False
        self._runner: web.ServerRunner | None = None
        self._leave_bus: Callable[[], None] | None = None
        process.metrics.gauge("llmproxy_workers", "Workers that answered.").labels().set(1)

    def check(self, view: View) -> None:
        """Refuse a generation that is being built if `swap` could not serve it.

        Raises:
            StartError: the token is weak, or a plugin's route is malformed or taken.
        """
        self._tabulate(view)

    def swap(self, view: View) -> None:
        """Serve this generation's routes from now on, and say that the gateway is ready; see `check`."""
        self._table = self._tabulate(view)
        self._view = view
        self._serving = True

    def _current(self) -> View:
        if self._view is None:
            raise GatewayError(503, "not_ready", "No generation serves yet.", retry_after=1)
        return self._view

    def _tabulate(self, view: View) -> _Table:
        token = view.config.admin.token
        if token is not None and len(token.reveal()) < SHORTEST_TOKEN:
            raise StartError(f"admin.token: {str(token)!r} should have {SHORTEST_TOKEN} characters or more")
        entries = [*self._open, *self._own_entries(view)]
        taken = {(entry.match.path, method) for entry in entries for method in entry.match.methods or ()}
        for route in view.admin_routes:
            if (route.path, route.method) in taken:
                raise StartError(
                    f"plugin {route.plugin!r}: admin route '{route.method} {route.path}' is taken already"
                )
            taken.add((route.path, route.method))
            entries.append(_plugin_entry(route))
        return _Table(Router(entries), token)

    async def start(self, sock: socket.socket) -> None:
        """Answer on a listening socket, and answer the other workers' questions for metrics."""
        self._leave_bus = self._process.bus.answer(METRICS_TOPIC, lambda *_: self._process.metrics.snapshot())
        self._runner = web.ServerRunner(PrivateServer(self._answer), handle_signals=False, shutdown_timeout=1)
        await self._runner.setup()
        await web.SockSite(self._runner, sock).start()

    async def close(self) -> None:
        """Stop answering."""
        if self._leave_bus is not None:
            self._leave_bus()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            reply = await self._reply(request)
        except GatewayError as error:
            reply = problem(error)
        except web.HTTPRequestEntityTooLarge:
            text = f"The request's body is larger than {MAX_BODY} bytes."
            reply = problem(GatewayError(413, "body_too_large", text))
        except Exception:
            _log.exception("admin_failed", method=request.method, path=request.path)
            reply = problem(
                GatewayError(500, "internal_error", "The admin route failed; its fault is in the log.")
            )
        return await send(request, reply)

    async def _reply(self, request: web.BaseRequest) -> Reply:
        table = self._table
        headers = Headers(list(request.raw_headers))
        asked = ClientRequest(
            request.method,
            request.raw_path,
            headers,
            host=headers.get("host") or "",
            client=request.remote or "",
            listener="admin",
        )
        found = table.router.match(asked.method, "", asked.path, headers.get, asked.query)
        if found is None:
            raise GatewayError(404, "not_found", f"The admin listener has no page {asked.path!r}.")
        if isinstance(found, BadPath):
            raise GatewayError(400, "bad_path", found.reason)
        if isinstance(found, MethodNotAllowed):
            allow = ", ".join(found.allowed)
            text = f"{asked.path!r} takes {allow}, not {asked.method}."
            raise GatewayError(405, "method_not_allowed", text, headers=[("Allow", allow)])
        if found.route.permission:
            _authorise(asked, table.token, found.route.permission)
            headers.remove("authorization")
        return await found.route.handler(AdminRequest(asked, found.params, await request.read()))

    async def _live(self, request: AdminRequest) -> Reply:
        return Reply.text("ok\n")

    async def _ready(self, request: AdminRequest) -> Reply:
        if self.draining or self.busy or not self._serving:
            message = "No generation serves, or the gateway warms its caches, or drains."
            raise GatewayError(503, "not_ready", message, retry_after=1)
        return Reply.text("ok\n")

    async def _metrics(self, request: AdminRequest) -> Reply:
        text = self._process.metrics.exposition(await self._snapshots())
        return Reply.text(text, content_type=_METRICS_TYPE)

    async def _snapshots(self) -> list[bytes]:
        """Return what all workers of this host count now."""
        answers = await self._process.bus.ask(METRICS_TOPIC)
        return [self._process.metrics.snapshot(), *answers.payloads.values()]

    async def _cache_stats(self, request: AdminRequest) -> Reply:
        return self._desk.stats(await self._snapshots())

    async def _reload(self, request: AdminRequest) -> Reply:
        if self._process.reload is None:
            raise GatewayError(503, "no_source", "This process has no configuration file to reload from.")
        result = await self._process.reload()
        if isinstance(result, ReloadResult) and not result.ok:
            raise GatewayError(422, "reload_refused", result.reason)
        notes = (
            {"generation": result.generation, "notes": result.notes}
            if isinstance(result, ReloadResult)
            else {}
        )
        return Reply.json({"reloaded": True, **notes})

    def _own_entries(self, view: View) -> list[_Entry]:
        pages = [(route.path, route.title) for route in view.admin_routes if route.title]
        config = _shown(lambda: redact_config(effective(view.config)))
        plugins = _shown(lambda: [_described(plugin) for plugin in view.plugins])
        return [
            _entry("/", _page(adminpages.front(pages)), "read"),
            _entry("/config", config, "read"),
            _entry("/plugins", plugins, "read"),
            _Entry(Match(path="/reload", methods=("POST",)), self._reload, "reload"),
            _entry("/cache/stats", self._cache_stats, "read"),
            _Entry(Match(path="/cache/purge", methods=("POST",)), self._desk.purge, "purge"),
            _Entry(Match(path="/cache/explain", methods=("POST",)), self._desk.explain, "read"),
            _Entry(Match(path="/cache/warm", methods=("POST",)), self._desk.warm, "warm"),
        ]


def _entry(path: str, handler: AdminHandler, permission: str = "") -> _Entry:
    return _Entry(Match(path=path, methods=("GET", "HEAD")), handler, permission)


def _plugin_entry(route: AdminRoute) -> _Entry:
    methods = ("GET", "HEAD") if route.method == "GET" else (route.method,)
    try:
        match = Match(path=route.path, methods=methods)
    except ConfigError as error:
        raise StartError(f"plugin {route.plugin!r}: admin route {route.path!r}: {error.message}") from error
    if not route.permission:
        raise StartError(f"plugin {route.plugin!r}: admin route {route.path!r} should name a permission")
    return _Entry(match, route.handler, route.permission)


def _shown(value: Callable[[], Any]) -> AdminHandler:
    async def answer(request: AdminRequest) -> Reply:
        body = orjson.dumps(value(), option=orjson.OPT_INDENT_2)
        return Reply(200, Headers([(b"Content-Type", b"application/json")]), body)

    return answer


def _page(html: str) -> AdminHandler:
    async def answer(request: AdminRequest) -> Reply:
        return Reply.text(html, content_type="text/html; charset=utf-8")

    return answer


def _described(plugin: Plugin[Any]) -> Mapping[str, Any]:
    kind = type(plugin)
    return {
        "name": plugin.name,
        "class": f"{kind.__module__}:{kind.__qualname__}",
        "hooks": [hook for hook in vars(Hooks) if hook in HOOKS and hasattr(kind, hook)],
    }


def _authorise(request: ClientRequest, token: Secret | None, permission: str) -> None:
    if token is None:
        raise GatewayError(
            403,
            "no_admin_token",
            f"This needs the permission {permission!r}, and no admin token is configured: write"
            " 'token: ${env:ADMIN_TOKEN}' under 'admin' and send it as 'Authorization: Bearer TOKEN'.",
        )
    given = _given_token(request)
    if given is None:
        text = f"This needs the permission {permission!r}: send 'Authorization: Bearer TOKEN'."
        raise GatewayError(401, "no_token", text, headers=_CHALLENGE)
    # Of digests even the length tells nothing.
    if not compare_digest(sha256(given).digest(), sha256(token.reveal().encode()).digest()):
        raise GatewayError(401, "wrong_token", "This is not the admin token.", headers=_CHALLENGE)


def _given_token(request: ClientRequest) -> bytes | None:
    scheme, _, rest = request.headers.index.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() == b"basic" and request.method in {"GET", "HEAD"}:
        try:
            return binascii.a2b_base64(rest).partition(b":")[2]
        except binascii.Error:
            return None
    return None
