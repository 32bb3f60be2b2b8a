"""What a key is made of, part by part.

Each part is named and shown by a short digest; numbers and switches are shown as they are. No text is. A part's digest
holds the tenant, so that nobody can compare texts across tenants.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final

import orjson

from llmproxy.caches import Part, field_name, part_of
from llmproxy.plugin import Exchange, key_rules_of
from llmproxy_cache.key import HUGE, KeyMaker
from llmproxy_cache.longnumbers import long_numbers

#: Parts that one key is shown in; elements of a list beyond its share are one part.
_ELEMENTS: Final = 64

#: Lists whose elements are told one by one.
_LISTED: Final = frozenset({"messages", "contents", "input", "tools", "documents", "requests"})


def parts_of(
    maker: KeyMaker, exchange: Exchange, body: bytes, *, scope: str = "tenant", sharer: str = ""
) -> list[Part]:
    """Return what an exchange's key is made of.

    Raises:
        Unreadable: the body is no JSON that could be compared.
    """
    rules, salt = key_rules_of(exchange), exchange.caller.tenant
    meaning = None if rules is None else maker.meaning(exchange, body)
    head = maker.head(exchange, rules, maker.fields(exchange, rules), crossing=meaning is not None)
    parts = [part_of("route", exchange.route.name, salt), part_of("tenant", salt, salt)]
    parts.append(part_of(f"scope {scope}", sharer, salt))
    parts += [part_of(name, value, salt) for name, value in zip(head.names, head.values, strict=True)]
    if numbers := long_numbers(body):
        parts.append(part_of("long numbers", numbers.decode("latin-1"), salt))
    if meaning is not None:
        return [*parts, *_fields(orjson.loads(meaning), salt)]
    if rules is None or len(body) > HUGE:
        return [*parts, Part("body", blake2b(body, key=salt.encode()[:64], digest_size=8).hexdigest())]
    counted = maker.read(rules, body).counted
    return [*parts, *_fields(counted, salt)]


def _fields(counted: dict[str, Any], salt: str) -> Iterator[Part]:
    for name in sorted(counted):
        value, title = counted[name], field_name(name, salt)
        if name in _LISTED and type(value) is list:
            for place, element in enumerate(value[:_ELEMENTS]):
                yield part_of(f"{title}[{place}]", element, salt)
            if len(value) > _ELEMENTS:
                yield part_of(f"{title}[{_ELEMENTS}:]", value[_ELEMENTS:], salt)
        elif type(value) is dict and name not in _LISTED and len(value) <= _ELEMENTS:
            for key in sorted(value):
                yield part_of(f"{title}.{field_name(key, salt)}", value[key], salt)
        else:
            yield part_of(title, value, salt)
