"""Which route a request takes, or what its caller is told instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmproxy.errors import BadRequest, GatewayError
from llmproxy.routing import BadPath, Match, MethodNotAllowed, Router, RouteT

if TYPE_CHECKING:
    from llmproxy.messages import ClientRequest


# RFC 3986 §3.2.2: a registered name, an IPv4 address or a bracketed IPv6 one; empty where HTTP/1.0 names none.
_HOST = re.compile(r"(?:[\w.~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?", re.ASCII)
_ELSEWHERE = re.compile(r"[^!-~]|#")

# RFC 9110 §9.3.6, §9.3.8: TRACE would show the caller what the upstream was sent, its key included; what follows a
# CONNECT is no HTTP, and nobody could tell where the upstream's next reply begins.
_NEVER_PASSED = frozenset({"CONNECT", "TRACE"})


def find_route(router: Router[RouteT], request: ClientRequest) -> Match[RouteT]:
    """Find the route of a request.

    Raises:
        GatewayError: what its caller is told: a bad target (400), no route (404), another method (405), or one
            that is never passed on (501).
    """
    target = request.target
    if _HOST.fullmatch(request.host) is None:
        raise BadRequest("bad_host", "The request's Host is not a host, such as api.example.com:8080.")
    if _ELSEWHERE.search(target) is not None:
        message = "The request's target holds a fragment, or characters that are not ASCII."
        raise BadRequest("bad_target", message)
    if not target.startswith("/"):
        message = "The request's target must be a path, such as /v1/chat/completions."
        raise BadRequest("bad_target", message)
    if request.method in _NEVER_PASSED:
        raise GatewayError(501, "method_refused", f"This gateway passes no {request.method} on.")
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
