"""Plain requests told apart by a look-up or two: what was found out of one before is remembered.

A plain request is a GET whose fields say nothing but what the origin may select by. Whether it is one follows from the
names of its fields, and its key from where it goes; both repeat. What is not plain, or new, is read in full elsewhere,
and gets the same answer there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.requests import read_request
from llmproxy_httpcache.vary import selection

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange
    from llmproxy_httpcache.key import Keys
    from llmproxy_httpcache.variants import Index

#: What Connection says nearly always; then it takes no field back.
_COMMON: Final = frozenset({b"keep-alive", b"close", b""})
_BODY: Final = frozenset({b"content-length", b"transfer-encoding"})
_PLAIN: Final = read_request("GET", [], {})

# Whether fields say nothing; it may depend on what Connection says.
_NO, _YES, _MAYBE = range(3)

#: Of each kind so many are remembered, and only short ones.
_MOST: Final = 4096
_LONGEST: Final = 512


class AtOnce:
    """The plain requests of one route."""

    __slots__ = ("_keys", "_known", "_plain", "_selected")

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        #: By names that the gateway keeps to itself, and the names of fields: whether they say nothing.
        self._plain: dict[tuple[object, ...], int] = {}
        #: The keys of answers, by where requests go and whose they are; those of variants, by what selects them.
        self._known: dict[tuple[str, ...], bytes] = {}
        self._selected: dict[tuple[object, ...], bytes] = {}

    def key_of(self, exchange: Exchange) -> bytes | None:
        """Return the key of a request's answer, None if it is not plain or new."""
        if not self._is_plain(exchange):
            return None
        request = exchange.request
        return self._known.get((request.scheme, request.host, request.target, exchange.caller.tenant))

    def remember(self, exchange: Exchange, key: bytes) -> None:
        """Take note of the key of a request's answer, if it is plain."""
        request = exchange.request
        if request.method != "GET" or len(self._known) >= _MOST or len(key) > _LONGEST:
            return
        if len(request.host) + len(request.target) <= _LONGEST and self._is_plain(exchange):
            self._known[request.scheme, request.host, request.target, exchange.caller.tenant] = key

    def selections(self, exchange: Exchange, index: Index) -> list[bytes]:
        """Return the selections that a request makes, by the sets of names that answers had; none if it is not plain."""
        headers = exchange.request.headers
        last = headers.index
        if len(last) < len(headers.raw):
            return []
        found = []
        for names in index.names:
            asked = (names, *[last.get(name) for name in names])
            known = self._selected.get(asked)
            found.append(self._select(asked, names, headers.raw) if known is None else known)
        return found

    def _select(
        self, asked: tuple[object, ...], names: tuple[bytes, ...], raw: list[tuple[bytes, bytes]]
    ) -> bytes:
        fields = Fields(raw)
        selected = selection(names, fields)
        short = sum([len(fields.last.get(name, b"")) for name in names]) <= _LONGEST
        if short and len(self._selected) < _MOST:
            self._selected[asked] = selected
        return selected

    def _is_plain(self, exchange: Exchange) -> bool:
        headers = exchange.request.headers
        names = (exchange.spent, *headers.index)
        plain = self._plain.get(names)
        if plain is None:
            plain = self._judge(exchange.spent, tuple(headers.index))
            if len(self._plain) < _MOST and sum(map(len, headers.index)) <= _LONGEST:
                self._plain[names] = plain
        if plain == _MAYBE:
            # Two lines of it are looked at in full.
            common = headers.index[b"connection"].lower() in _COMMON
            return common and len(headers.index) == len(headers.raw)
        return plain == _YES

    def _judge(self, spent: frozenset[bytes], names: tuple[bytes, ...]) -> int:
        fields = Fields([(name, b"") for name in names if name != b"connection"])
        if not _BODY.isdisjoint(names) or any(self._keys.told(fields)):
            return _NO
        telling = Fields([pair for pair in fields.raw if pair[0] not in spent])
        # It answers with the same thing each time once it has learned the names.
        _ = read_request("GET", telling.raw, telling.last)
        if read_request("GET", telling.raw, telling.last) is not _PLAIN:
            return _NO
        return _MAYBE if b"connection" in names else _YES
