"""Requests that came before, byte for byte: what was found out of them is not found out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmproxy.plugin import Exchange, Form, key_rules_of
from llmproxy_cache.control import FIELD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmproxy.plugin import Endpoint

#: Requests that are remembered, and how large their bodies may be.
_MOST: Final = 1024
_SMALL: Final = 1024

#: Header fields that may make a difference on every route.
_ALWAYS: Final = (b"cache-control", FIELD, b"content-type")


class Repeat(NamedTuple):
    """What was found out of a request: under which key its answer is kept, and in which form it is wanted."""

    endpoints: Sequence[Endpoint]
    key: bytes
    form: Form | None


class Repeats:
    """Remembers requests of one route by all that a key depends on, as it came."""

    __slots__ = ("_known", "_watched")

    def __init__(self, headers: Iterable[bytes]) -> None:
        #: Fields that may make a difference here; what is remembered is forgotten when there is one more.
        self._watched = tuple(dict.fromkeys((*_ALWAYS, *headers)))
        self._known: dict[Any, Repeat] = {}

    def find(self, exchange: Exchange, body: bytes) -> Repeat | None:
        """Return what was found out of the same request, going to the same places."""
        request = exchange.request
        if len(request.headers.index) != len(request.headers.raw):
            return None  # of a field that stands there twice only the last value is at hand
        known = self._known.get(
            (
                body,
                request.target,
                id(exchange.client_face),  # a face lives as long as its route
                exchange.caller.tenant,
                exchange.model,
                *map(request.headers.index.get, self._watched),
            )
        )
        # A table of models gives the same places for the same name as long as it lives.
        return known if known is not None and known.endpoints is exchange.endpoints else None

    def remember(self, exchange: Exchange, body: bytes, key: bytes, form: Form | None) -> None:
        """Remember a request that said nothing to the cache."""
        headers = exchange.request.headers
        if len(body) > _SMALL or len(headers.index) != len(headers.raw):
            return
        rules = key_rules_of(exchange)
        names = () if rules is None else rules.header_names
        if len(self._known) >= _MOST or not set(names).issubset(self._watched):
            self._known = {}
            self._watched = tuple(dict.fromkeys((*self._watched, *names)))
        request = exchange.request
        fields = map(request.headers.index.get, self._watched)
        name = (
            body,
            request.target,
            id(exchange.client_face),
            exchange.caller.tenant,
            exchange.model,
            *fields,
        )
        self._known[name] = Repeat(exchange.endpoints, key, form)
