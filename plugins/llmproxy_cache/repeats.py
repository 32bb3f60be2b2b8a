"""Requests that came before, byte for byte: what was found out of them is not found out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmproxy.caches import Lately
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


#: A request, as far as a key depends on it.
Name = tuple[Any, ...]


class Repeat(NamedTuple):
    """What was found out of a request: under which key its answer is kept, and in which form it is wanted."""

    endpoints: Sequence[Endpoint]
    key: bytes
    form: Form | None


class Repeats:
    """Remembers requests of one route by all that a key depends on, as it came."""

    __slots__ = ("_known", "_watched", "_watched_all")

    def __init__(self, headers: Iterable[bytes]) -> None:
        #: Fields that may make a difference here; what is remembered is forgotten when there is one more.
        self._watched: tuple[bytes, ...] = ()
        self._watched_all: frozenset[bytes] = frozenset()
        self._known: Lately[Name, Repeat] = Lately(_MOST)
        self._watch((*_ALWAYS, *headers))

    def name(self, exchange: Exchange, body: bytes) -> Name | None:
        """Return all that a key depends on, as it came; None where only a closer look tells."""
        request = exchange.request
        index = request.headers.index
        if len(body) > _SMALL or len(index) != len(request.headers.raw):
            return None  # of a field that stands there twice only the last value is at hand
        return (
            body,
            request.target,
            id(exchange.client_face),  # a face lives as long as its route
            exchange.caller.tenant,
            exchange.model,
            *map(index.get, self._watched),
        )

    def find(self, exchange: Exchange, name: Name) -> Repeat | None:
        """Return what was found out of the same request, going to the same places."""
        known = self._known[name]
        # A table of models gives the same places for the same name as long as it lives.
        return known if known is not None and known.endpoints is exchange.endpoints else None

    def remember(self, exchange: Exchange, name: Name, key: bytes, form: Form | None) -> None:
        """Remember a request that said nothing to the cache."""
        rules = key_rules_of(exchange)
        if rules is not None and not self._watched_all.issuperset(rules.header_names):
            self._watch(rules.header_names)
            name = self.name(exchange, name[0]) or name  # the one at hand tells too little
        self._known.keep(name, Repeat(exchange.endpoints, key, form))

    def _watch(self, names: Iterable[bytes]) -> None:
        self._watched = tuple(dict.fromkeys((*self._watched, *names)))
        self._watched_all = frozenset(self._watched)
        self._known.clear()
