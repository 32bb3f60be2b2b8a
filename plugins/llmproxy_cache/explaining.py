"""What a key is made of, part by part, and why another request missed.

Each part is named and shown by a short digest; numbers and switches are shown as they are. No text is. A part's digest
holds the tenant, so that nobody can compare texts across tenants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from llmproxy.plugin import Exchange, key_rules_of
from llmproxy_cache.key import HUGE, KeyMaker

#: Parts that one key is shown in; elements of a list beyond its share are one part.
_ELEMENTS: Final = 64
_LONGEST_NAME: Final = 80

#: Lists whose elements are told one by one.
_LISTED: Final = frozenset({"messages", "contents", "input", "tools", "documents", "requests"})


class Part(NamedTuple):
    """One thing that the key depends on; `shown` is its value where that is a number or a switch."""

    name: str
    digest: str
    shown: str = ""


class Difference(NamedTuple):
    """One part in which two keys differ; empty where one of them does not have it."""

    name: str
    here: str
    there: str


def parts_of(
    maker: KeyMaker, exchange: Exchange, body: bytes, *, scope: str = "tenant", sharer: str = ""
) -> list[Part]:
    """Return what an exchange's key is made of.

    Raises:
        Unreadable: the body is no JSON that could be compared.
    """
    rules, salt = key_rules_of(exchange), exchange.caller.tenant
    head = maker.head(exchange, rules, maker.fields(exchange, rules))
    parts = [Part("route", _digest(salt, exchange.route.name)), Part("tenant", _digest(salt, salt))]
    parts.append(Part(f"scope {scope}", _digest(salt, sharer)))
    parts += [Part(name, _digest(salt, value)) for name, value in zip(head.names, head.values, strict=True)]
    if rules is None or len(body) > HUGE:
        return [*parts, Part("body", blake2b(body, key=salt.encode()[:64], digest_size=8).hexdigest())]
    counted = maker.read(rules, body).counted
    return [*parts, *_fields(counted, salt)]


def differences(here: Iterable[Part], there: Iterable[Part]) -> list[Difference]:
    """Return where two keys differ, in the order of the first."""
    known, others = {part.name: part for part in here}, {part.name: part for part in there}
    names = [*known, *(name for name in others if name not in known)]
    nothing = Part("", "")
    return [
        Difference(name, _told(known.get(name, nothing)), _told(others.get(name, nothing)))
        for name in names
        if known.get(name, nothing).digest != others.get(name, nothing).digest
    ]


def nearest(here: list[Part], earlier: Iterable[list[Part]]) -> list[Difference] | None:
    """Return how a key differs from the one of the earlier that differs least; None where there is none."""
    found = [differences(here, there) for there in earlier]
    return min(found, key=len) if found else None


def _told(part: Part) -> str:
    return part.shown or part.digest


def _fields(counted: dict[str, Any], salt: str) -> Iterator[Part]:
    for name in sorted(counted):
        value, title = counted[name], name[:_LONGEST_NAME]
        if name in _LISTED and type(value) is list:
            for place, element in enumerate(value[:_ELEMENTS]):
                yield Part(f"{title}[{place}]", _digest(salt, element))
            if len(value) > _ELEMENTS:
                yield Part(f"{title}[{_ELEMENTS}:]", _digest(salt, value[_ELEMENTS:]))
        elif type(value) is dict and name not in _LISTED and len(value) <= _ELEMENTS:
            yield from (_scalar(f"{title}.{key[:_LONGEST_NAME]}", value[key], salt) for key in sorted(value))
        else:
            yield _scalar(title, value, salt)


def _scalar(name: str, value: Any, salt: str) -> Part:
    plain = value is None or isinstance(value, int | float)
    return Part(name, _digest(salt, value), orjson.dumps(value).decode() if plain else "")


def _digest(salt: str, value: Any) -> str:
    data = orjson.dumps([salt, value], option=orjson.OPT_SORT_KEYS)
    return blake2b(data, digest_size=8).hexdigest()
