"""What is to be purged, as people, programs and events say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

import orjson

from llmproxy.caching.tags import KINDS, Kind, tag_slots
from llmproxy.caching.urls import locate
from llmproxy.errors import BadRequest
from llmproxy.suggestions import nearest

#: Values that one order may name, and how long each may be.
MOST_VALUES: Final = 1024
LONGEST: Final = 8192

_LISTS: Final[Mapping[str, Kind]] = {
    "tags": "tag",
    "keys": "key",
    "prefixes": "prefix",
    "urls": "url",
    "tenants": "tenant",
    "routes": "route",
    "models": "model",
    "templates": "template",
    "documents": "document",
}
_MEMBERS: Final = (*_LISTS, "all", "tenant", "soft", "store")
_SELECTORS: Final[Mapping[str, Kind]] = {"uri": "url", "uri-prefix": "prefix", "origin": "prefix"}


class Purge(NamedTuple):
    """Entries to be purged: whatever one of `values` names, of one tenant or of all.

    `kind` is one of tag, key (its `key_name`), prefix, url, tenant, route, model, template, document, group, all;
    `all` takes no values. Softly purged entries are stale, not gone.
    """

    kind: Kind
    values: tuple[str, ...] = ()
    tenant: str | None = None
    soft: bool = False

    def slots(self) -> list[int]:
        """Return what it is on a board.

        Raises:
            ValueError: a URL or prefix is none, or nothing is named.
        """
        if self.kind not in KINDS:
            raise ValueError(f"nothing is purged by {self.kind!r}")
        if not self.values and self.kind != "all":
            raise ValueError(f"no {self.kind} is named")
        named = self.values if self.kind != "all" else ("",)
        return [slot for value in named for slot in tag_slots(self.kind, value, tenant=self.tenant)]


class PurgeOrder(NamedTuple):
    """Purges to be done in one store, or in every store that is used as a cache."""

    purges: tuple[Purge, ...]
    store: str | None = None

    @property
    def named(self) -> int:
        """How many tags it names; how many entries have them nobody counts."""
        return sum(len(purge.values) or 1 for purge in self.purges)

    def slots(self, *, soft: bool) -> list[int]:
        """Return all hard purges as one, or all soft ones."""
        return [slot for purge in self.purges if purge.soft is soft for slot in purge.slots()]


def read_order(body: bytes) -> PurgeOrder:
    """Read an order: lists of what to purge by kind, or an event of draft-nottingham-http-invalidation.

    ``{"tags": ["a"], "prefixes": ["/b"], "tenant": "t", "soft": true, "store": "main"}`` purges what has the tag or
    lies below the prefix; `tenant` alone, or ``"all": true``, purges everything. An event has `type` and `selectors`;
    without ``"purge": true`` it is soft.

    Raises:
        BadRequest: it is neither (400), or a selector of a type that is not known (501).
    """
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _bad("The body is not JSON.") from None
    if not isinstance(told, dict):
        raise _bad("The body should be a JSON object.")
    order = _event(told) if "type" in told and "selectors" in told else _lists(told)
    if order.named > MOST_VALUES:
        raise _bad(f"{order.named} values are named, which is more than {MOST_VALUES}; send several orders.")
    try:
        for purge in order.purges:
            purge.slots()
    except ValueError as fault:
        message = str(fault)
        raise _bad(f"{message[:1].upper()}{message[1:]}.") from None
    return order


def _lists(told: Mapping[str, Any]) -> PurgeOrder:
    for name in told:
        if name not in _MEMBERS:
            near = nearest(name, _MEMBERS)
            hint = f"did you mean {near!r}?" if near else f"known: {', '.join(_MEMBERS)}."
            raise _bad(f"The member {name[:100]!r} is not known; {hint}")
    tenant, store = _text(told, "tenant"), _text(told, "store")
    soft, everything = _flag(told, "soft"), _flag(told, "all")
    purges = [
        Purge(kind, _values(told, name), tenant, soft) for name, kind in _LISTS.items() if told.get(name)
    ]
    if everything or (tenant is not None and not purges):
        purges.append(Purge("all", (), tenant, soft))
    if not purges:
        raise _bad(f'Nothing is named to be purged; name {", ".join(_LISTS)}, a tenant, or "all": true.')
    if tenant is not None and told.get("tenants"):
        raise _bad("Name one tenant, or a list of tenants.")
    return PurgeOrder(tuple(purges), store)


def _event(told: Mapping[str, Any]) -> PurgeOrder:
    kind: object = told["type"]
    selectors, soft = _values(told, "selectors"), not _flag(told, "purge")
    if kind == "group":
        groups = _values(told, "groups")
        values = tuple(f"{_origin(selector)} {group}" for selector in selectors for group in groups)
        return PurgeOrder((Purge("group", values, None, soft),))
    if not isinstance(kind, str) or kind not in _SELECTORS:
        message = f"Selectors of the type {str(kind)[:100]!r} are not supported."
        raise BadRequest("unsupported_selector", message, status=501)
    if kind == "origin":
        selectors = tuple(map(_origin, selectors))
    return PurgeOrder((Purge(_SELECTORS[kind], selectors, None, soft),))


def _origin(selector: str) -> str:
    try:
        origin = locate(selector).origin
    except ValueError:
        origin = ""
    if not origin:
        raise _bad("An origin is written as in 'https://example.com:443'.")
    return origin


def _values(told: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = told.get(name)
    if not isinstance(values, list) or not all(isinstance(each, str) and each for each in values):
        raise _bad(f"{name!r} should be a list of texts.")
    if any(len(each) > LONGEST for each in values):
        raise _bad(f"{name!r} holds a text of more than {LONGEST} characters.")
    return tuple(cast("Iterable[str]", values))


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    if value is not None and (not isinstance(value, str) or not 0 < len(value) <= LONGEST):
        raise _bad(f"{name!r} should be a text.")
    return value


def _flag(told: Mapping[str, Any], name: str) -> bool:
    value = told.get(name, False)
    if not isinstance(value, bool):
        raise _bad(f"{name!r} should be true or false.")
    return value


def _bad(message: str) -> BadRequest:
    return BadRequest("bad_purge", message)
