"""Which route a request takes, or what its caller is told instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.errors import BadRequest, GatewayError
from llmproxy.routing import BadPath, Match, MethodNotAllowed, Router, RouteT

if TYPE_CHECKING:
    from llmproxy.messages import ClientRequest


def find_route(router: Router[RouteT], request: ClientRequest) -> Match[RouteT]:
    """Find the route of a request.

    Raises:
        GatewayError: what its caller is told: a bad target (400), no route (404), another method (405).
    """
    target = request.target
    if not target.isascii():
        raise BadRequest("bad_target", "The request's target holds characters that are not ASCII.")
    if not target.startswith("/"):
        message = "The request's target must be a path, such as /v1/chat/completions."
        raise BadRequest("bad_target", message)
    found = router.match(request.method, request.host, request.path, request.headers.get, request.query)
    if isinstance(found, Match):
        return found
    if isinstance(found, BadPath):
        raise BadRequest("bad_path", found.reason)
    if isinstance(found, MethodNotAllowed):
        allowed = ", ".join(found.allowed)
        message = f"This path takes {allowed}."
        raise GatewayError(405, "method_not_allowed", message, headers=[("Allow", allowed)])
    raise BadRequest("unknown_route", f"No route matches {request.method} {request.path[:200]}.", status=404)
