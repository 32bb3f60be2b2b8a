"""How the admin listener answers on the wire: guarded, and without a malformed request's own words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from llmproxy.errors import GatewayError
from llmproxy.messages import Reply
from llmproxy.problems import problem

#: Bytes of a request's body.
MAX_BODY: Final = 16 * 1024 * 1024

#: Sent with every answer; a plugin's page may send a policy of its own.
_GUARDS: Final = (
    (
        "Content-Security-Policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)


async def send(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Answer a request, a stream as its pieces come."""
    if isinstance(reply.body, bytes):
        return _whole(reply)
    response = web.StreamResponse(status=reply.status)
    _add_headers(response, reply)
    await response.prepare(request)
    async with aclosing(reply.body.pieces()) as pieces:
        async for piece in pieces:
            await response.write(piece)
    return response


def _whole(reply: Reply) -> web.Response:
    assert isinstance(reply.body, bytes)
    response = web.Response(status=reply.status, body=reply.body)
    _add_headers(response, reply)
    return response


def _add_headers(response: web.StreamResponse, reply: Reply) -> None:
    for name in {name.lower() for name, _ in reply.headers}:
        response.headers.popall(name, None)
    for name, value in reply.headers:
        response.headers.add(name, value)
    for name, value in _GUARDS:
        response.headers.setdefault(name, value)


class _Connection(RequestHandler):
    """A connection that never shows a malformed request's own words."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what cannot be read; break off what was begun."""
        if request.writer.output_size:
            raise ConnectionError("the answer was begun and cannot be finished") from exc
        response = _whole(
            problem(GatewayError(status, "bad_request", "This is not a request that can be read."))
        )
        response.force_close()
        return response


class PrivateServer(web.Server):
    """Makes connections of the kind above; no access log of its own."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(handler, request_factory=self._request)

    def __call__(self) -> RequestHandler:
        """Return the protocol of one connection."""
        return _Connection(self, loop=self._loop, access_log=None)  # type: ignore[arg-type]  # None is its off

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=MAX_BODY)
