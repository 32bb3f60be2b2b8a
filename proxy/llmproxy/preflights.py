"""A browser's question whether a page may send a request (Fetch standard §3.2.2): it takes that request's route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.errors import GatewayError
from llmproxy.matching import find_route
from llmproxy.messages import ClientRequest

if TYPE_CHECKING:
    from llmproxy.route import Route
    from llmproxy.routing import Match, Router


def route_of(router: Router[Route], request: ClientRequest) -> Match[Route]:
    """Find the route of a request; that of a preflight is the one of the request that it announces.

    Only a route with a plugin that answers preflights takes one by another's method: else a caller could reach an
    upstream by OPTIONS where its route does not take OPTIONS.

    Raises:
        GatewayError: as `find_route` does.
    """
    announced = _announced(request) if request.method == "OPTIONS" else None
    if announced is not None:
        try:
            found = find_route(router, announced)
        except GatewayError:
            return find_route(router, request)
        if found.route.answers_preflights:
            return found
    return find_route(router, request)


def _announced(request: ClientRequest) -> ClientRequest | None:
    """Return the request that a preflight announces, as far as it tells; None where this is no preflight."""
    index = request.headers.index
    method = index.get(b"access-control-request-method")
    if method is None or b"origin" not in index:
        return None
    return ClientRequest(
        method.decode("latin-1"), request.target, request.headers, request.scheme, request.host
    )
