"""What a request gives to templates."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import orjson

from llmproxy.plugin import BadRequest, Exchange

#: The parts of a request that may be referred to; no call has such a name.
REQUEST: Final = frozenset({"params", "query", "headers", "body", "caller"})


async def request_values(exchange: Exchange, sources: Collection[str]) -> dict[str, Any]:
    """Return the parts of a request that are asked for; a part that it lacks is left out.

    Raises:
        BadRequest: its body is asked for, and is no JSON.
    """
    values: dict[str, Any] = {}
    if "params" in sources:
        values["params"] = exchange.params
    if "query" in sources:
        values["query"] = exchange.request.parameters()
    if "headers" in sources:
        values["headers"] = _Fields(exchange)
    if "caller" in sources:
        values["caller"] = {"tenant": exchange.caller.tenant, "key": exchange.caller.key}
    if "body" in sources and (body := await exchange.body()):
        try:
            values["body"] = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise BadRequest("invalid_json", "The request's body must be JSON.") from None
    return values


def field(exchange: Exchange, name: str) -> str | None:
    """Return a header field of the caller's that was not meant for the gateway alone, or None."""
    key = name.lower().encode("latin-1")
    if key in exchange.spent:
        return None
    value = exchange.request.headers.index.get(key)
    return None if value is None else value.decode("latin-1")


class _Fields(dict[str, str]):
    """A request's header fields by their names in any case."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def __missing__(self, name: str) -> str:
        value = field(self._exchange, name)
        if value is None:
            raise KeyError(name)
        return value
