"""What placeholders stand for in one exchange."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from llmproxy.plugin import Exchange

_CATCH_ALL: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\.\.\.\}$")

_OF_REQUEST: Final[Mapping[str, Callable[[Exchange], str | None]]] = {
    "id": lambda exchange: exchange.id,
    "method": lambda exchange: exchange.request.method,
    "path": lambda exchange: exchange.request.path,
    "host": lambda exchange: exchange.request.host,
    "scheme": lambda exchange: exchange.request.scheme,
    "model": lambda exchange: exchange.model,
}


class Values:
    """Looks values up; bytes of header fields that are no UTF-8 come out again as they are."""

    __slots__ = ("_exchange", "_query")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._query: Mapping[str, str] | None = None

    def __call__(self, kind: str, name: str) -> str | None:
        """Return a value, or None where there is none."""
        exchange = self._exchange
        if kind == "path":
            return exchange.params.get(name)
        if kind == "header":
            return self._header(name)
        if kind == "query":
            if self._query is None:
                self._query = exchange.request.parameters()
            return self._query.get(name)
        if kind == "request":
            return _OF_REQUEST[name](exchange)
        if kind == "client":
            return exchange.request.client or None
        return self._of_caller(kind, name)

    def _header(self, name: str) -> str | None:
        exchange, field = self._exchange, name.encode()
        # What was meant for the gateway alone, a key above all, goes no further under another name either.
        value = None if field in exchange.spent else exchange.request.headers.index.get(field)
        return None if value is None else value.decode("utf-8", "surrogateescape")

    def _of_caller(self, kind: str, name: str) -> str | None:
        caller = self._exchange.caller
        if kind == "caller":
            return (caller.tenant if name == "tenant" else caller.key) or None
        return dict(caller.labels).get(name) if kind == "label" else None


def catch_all_of(path: str) -> str | None:
    """Return the parameter of a route's path that takes the rest of a path, which stays as it was written."""
    found = _CATCH_ALL.search(path)
    return None if found is None else found[1]
