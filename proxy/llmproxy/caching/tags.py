"""From what an entry is about to the slots that it is purged by.

Both caches name an entry's tags with `entry_slots`, every purge with `tag_slots`; what one writes the other finds.
Each tag counts for everybody and again within its tenant, so that a tenant purges nothing of another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, get_args

from llmproxy.caching.urls import Location, locate, prefixes

if TYPE_CHECKING:
    from llmproxy.messages import Headers

Kind = Literal[
    "all", "tenant", "route", "model", "template", "document", "key", "url", "prefix", "group", "tag"
]

KINDS: Final[tuple[str, ...]] = get_args(Kind)

#: Tags of its own that an entry may have, and how long each may be (in characters, as Fastly has it).
MOST_TAGS: Final = 1024
LONGEST: Final = 1024

#: Fields in which an upstream names an answer's tags, and whether only a comma stands between two.
TAG_FIELDS: Final = {b"surrogate-key": False, b"cache-tag": True, b"edge-cache-tag": True, b"xkey": False}

#: Names that are remembered are no longer than this: callers may choose some of them.
_SHORT: Final = 256

_ODD: Final = 0x9E3779B97F4A7C15
_WIDE: Final = (1 << 64) - 1


def key_name(key: bytes) -> str:
    """Return the name of a store key that may be told: nothing that was asked can be read from it."""
    return blake2b(key, digest_size=16).hexdigest()


def tag_slots(kind: Kind, value: str = "", *, tenant: str | None = None) -> Iterator[int]:
    """Give the slots that a purge of one tag writes to: of every tenant, or of one.

    Args:
        kind: what `value` names; `all` and, with it, `tenant` need none.
        value: a tag, a key's `key_name`, a URL or path, an origin and a group with a blank between.
        tenant: the tenant that it is purged for. An origin is not looked at then: the path decides.

    Raises:
        ValueError: a URL or path that is none.
    """
    match kind:
        case "all" if tenant is not None:
            yield _slot("tenant", tenant)
        case "url" | "prefix":
            place = locate(value)
            name = place.target if kind == "url" else prefixes(place.path)[-1]
            yield _slot(kind, name, tenant, place.origin if tenant is None else "")
        case "tag":
            yield _slot("tag", value, tenant)
            # What had too many tags to keep is purged with every one.
            yield _slot("tags", "", tenant)
        case _:
            yield _slot(kind, value, tenant)


def entry_slots(  # noqa: PLR0913  # all by keyword
    *,
    tenant: str,
    route: str,
    model: str | None = None,
    key: bytes | None = None,
    url: str | None = None,
    tags: Iterable[str] = (),
    groups: Iterable[str] = (),
    template: str | None = None,
    documents: Iterable[str] = (),
) -> tuple[int, ...]:
    """Return the slots of everything that an entry is purged by.

    Args:
        tenant: whose entry it is.
        route: the route's name.
        model: the public name of the model that answered.
        key: the entry's store key.
        url: what was asked for over HTTP: scheme, host and target, or the target alone.
        tags: tags that the route or the upstream gave; see `field_tags`. Too many, or one too long, and the entry
            is purged with any tag of its tenant.
        groups: its cache groups (RFC 9875), which belong to the URL's origin.
        template: the prompt template that was filled in.
        documents: documents that the answer was made from.
    """
    slots = [*_common(tenant, route, model)]
    if key is not None:
        slots += _both("key", key_name(key), tenant)
    if url is not None:
        slots += _place_slots(_asked(url), tenant, groups)
    if template is not None:
        slots += _both("template", template, tenant)
    for document in documents:
        slots += _both("document", document, tenant)
    for count, tag in enumerate(tags):
        if count == MOST_TAGS or len(tag) > LONGEST:
            slots += _both("tags", "", tenant)
            break
        slots += _both("tag", tag, tenant)
    return tuple(slots)


def field_tags(headers: Headers) -> list[str]:
    """Return the tags that an upstream's answer names in the fields of the well-known caches."""
    index = headers.index
    if index.keys().isdisjoint(TAG_FIELDS):
        return []
    tags: list[str] = []
    for name, value in headers.raw:
        commas = TAG_FIELDS.get(name.lower())
        if commas is not None:
            text = value.decode("utf-8", "surrogateescape")
            parts = text.split(",") if commas else text.replace(",", " ").split()
            tags += [tag for part in parts if (tag := part.strip())]
    return list(dict.fromkeys(tags))


@lru_cache(maxsize=1024)
def _common(tenant: str, route: str, model: str | None) -> tuple[int, ...]:
    slots = [_slot("all", ""), _slot("tenant", tenant), *_both("route", route, tenant)]
    return (*slots, *(_both("model", model, tenant) if model is not None else ()))


def _both(kind: str, name: str, tenant: str) -> tuple[int, int]:
    number = _number(name)
    return _mixed(number, _owner(kind, None, "")), _mixed(number, _owner(kind, tenant, ""))


def _slot(kind: str, name: str, tenant: str | None = None, origin: str = "") -> int:
    return _mixed(_number(name), _owner(kind, tenant, origin))


def _mixed(number: int, owner: int) -> int:
    """Return the slot of a name within what it belongs to: one digest of a name serves all its slots."""
    return ((number ^ owner) * _ODD & _WIDE) >> 32


def _number(name: str) -> int:
    return _known(name) if len(name) <= _SHORT else _digest(name)


def _digest(name: str) -> int:
    data = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


_known: Final = lru_cache(maxsize=8192)(_digest)


@lru_cache(maxsize=2048)
def _owner(kind: str, tenant: str | None, origin: str) -> int:
    """Return what stands for a kind of names: everybody's, a tenant's, or those of an origin."""
    return _digest(f"{kind}:{'' if tenant is None else '@'}{len(tenant or '')}:{tenant or ''}{origin}")


def _asked(url: str) -> Location:
    """Read what a caller asked for, whose `Host` may be anything."""
    try:
        return locate(url)
    except ValueError:
        return locate("/" + url.partition("://")[2].partition("/")[2])


def _place_slots(place: Location, tenant: str, groups: Iterable[str]) -> list[int]:
    owners = [
        (_owner(kind, None, ""), _owner(kind, tenant, ""), _owner(kind, None, place.origin))
        for kind in ("url", "prefix")
    ]
    numbers = [_number(path) for path in prefixes(place.path)]
    found = [_mixed(_number(place.target), owner) for owner in owners[0]]
    found += [_mixed(number, owner) for owner in owners[1] for number in numbers]
    for group in groups:
        found += _both("group", f"{place.origin} {group}", tenant)
    return found
