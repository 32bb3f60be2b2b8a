"""What a policy answers to one request, as header fields; the Fetch standard's CORS protocol. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from llmproxy.plugin import Headers
from llmproxy_cors.config import CorsConfig
from llmproxy_cors.origins import Origins

#: What pages may send if neither the policy nor the route says it.
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

#: Answer fields of the protocol: what an upstream says in them is not the gateway's policy.
OWNED: Final = frozenset(
    {
        b"access-control-allow-origin",
        b"access-control-allow-credentials",
        b"access-control-allow-methods",
        b"access-control-allow-headers",
        b"access-control-expose-headers",
        b"access-control-max-age",
        b"access-control-allow-private-network",
    }
)

#: Names that a page may ask for at once, and their bytes together, where all are allowed.
_MOST_NAMES: Final = 64
_LONGEST: Final = 4096
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Policy:
    """One route's policy; `route_methods` are those that the route takes, None for any."""

    def __init__(self, config: CorsConfig, route_methods: Sequence[str] | None = None) -> None:
        self._origins = Origins(config.origins)
        taken = config.methods or tuple(m for m in route_methods or _METHODS if m != "OPTIONS")
        self._methods = ", ".join(taken)
        self._headers = ", ".join(config.headers)
        self._echoes = "*" in config.headers
        self._expose = ", ".join(config.expose)
        self._credentials = config.credentials
        self._max_age = str(int(config.max_age))
        self._private = config.private_network
        self.refuses = config.others == "refuse"
        #: Whether the answer is the same for every origin, so that caches need not tell them apart.
        self.same_for_all = self._origins.any

    def origin_of(self, headers: Headers) -> str | None:
        """Return the request's one origin, "" if it has several, None if it has none."""
        if not headers.has(b"origin"):
            return None
        given = headers.get_all("origin")
        return given[0] if len(given) == 1 else ""

    def takes(self, origin: str) -> bool:
        """Whether a page of this origin may ask."""
        return self._origins.take(origin)

    def grant(self, origin: str) -> list[tuple[str, str]]:
        """Return what lets a page of an origin that is taken read an answer."""
        fields = self._allowed(origin)
        if self._expose:
            fields.append(("Access-Control-Expose-Headers", self._expose))
        return fields

    def permit(self, origin: str, request: Headers) -> list[tuple[str, str]]:
        """Return what lets a page of an origin that is taken send the request that it announces, as far as it may."""
        fields = [*self._allowed(origin), ("Access-Control-Allow-Methods", self._methods)]
        names = self._asked(request) if self._echoes else self._headers
        if names:
            fields.append(("Access-Control-Allow-Headers", names))
        if self._private and request.get("access-control-request-private-network") == "true":
            fields.append(("Access-Control-Allow-Private-Network", "true"))
        return [*fields, ("Access-Control-Max-Age", self._max_age)]

    def _allowed(self, origin: str) -> list[tuple[str, str]]:
        fields = [("Access-Control-Allow-Origin", "*" if self.same_for_all else origin)]
        if self._credentials:
            fields.append(("Access-Control-Allow-Credentials", "true"))
        return fields

    @staticmethod
    def _asked(request: Headers) -> str:
        """Return the names that a preflight asks for, if they are names: a `*` would leave Authorization out."""
        asked = ",".join(request.get_all("access-control-request-headers"))
        names = [name.strip() for name in asked.split(",") if name.strip()] if len(asked) <= _LONGEST else []
        fit = len(names) <= _MOST_NAMES and all(_TOKEN.fullmatch(name) for name in names)
        return ", ".join(names) if fit else ""


def add_vary(headers: Headers, *names: str) -> None:
    """Say that an answer depends on request fields (RFC 9110 §12.5.5); what is said already stays."""
    if not headers.has(b"vary"):
        headers.add("Vary", ", ".join(names))
        return
    told = ", ".join(headers.get_all("vary"))
    known = {name.strip().lower() for name in told.split(",")}
    missing = [name for name in names if name.lower() not in known]
    if missing and "*" not in known:
        headers.set("Vary", ", ".join([told, *missing]))
