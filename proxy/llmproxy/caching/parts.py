"""What a cache's key is made of, part by part, and how it differs from others: names and digests, never text.

A part's digest holds the tenant, so that nobody can compare texts across tenants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_BLANKS: Final = re.compile(rb"(?:\\[nrt]|\\u00a0|\s)+")


class Part(NamedTuple):
    """One thing that the key depends on; `shown` is its value where that is a number or a switch.

    `loose` is a digest without regard to blanks and case, where there are any.
    """

    name: str
    digest: str
    shown: str = ""
    loose: str = ""


class Difference(NamedTuple):
    """One part in which two keys differ; empty where one of them does not have it."""

    name: str
    here: str
    there: str
    why: str = ""


def part_of(name: str, value: Any, salt: str) -> Part:
    """Return a part; a number, a switch or what is empty is shown as it is, of anything else a digest."""
    if value is None or value == "" or isinstance(value, int | float):
        return Part(name, digest_of(salt, value), orjson.dumps(value).decode())
    data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    loose = _BLANKS.sub(b"", data).lower()
    return Part(name, digest_of(salt, value), "", digest_of(salt, loose.decode()))


def field_name(name: str, salt: str) -> str:
    """Return a name that a caller wrote if it reads as one, else a digest: anything may stand there."""
    return name if _PLAIN.fullmatch(name) else f"#{digest_of(salt, name)}"


def digest_of(salt: str, value: Any) -> str:
    """Return what a value is told as."""
    data = orjson.dumps([salt, value], option=orjson.OPT_SORT_KEYS)
    return blake2b(data, digest_size=8).hexdigest()


def differences(here: Iterable[Part], there: Iterable[Part]) -> list[Difference]:
    """Return where two keys differ, in the order of the first."""
    known, others = {part.name: part for part in here}, {part.name: part for part in there}
    names = [*known, *(name for name in others if name not in known)]
    return [
        _difference(name, known.get(name, _NOTHING), others.get(name, _NOTHING))
        for name in names
        if known.get(name, _NOTHING).digest != others.get(name, _NOTHING).digest
    ]


def nearest(here: list[Part], earlier: Iterable[list[Part]]) -> list[Difference] | None:
    """Return how a key differs from the one of the earlier that differs least; None where there is none."""
    found = [differences(here, there) for there in earlier]
    return min(found, key=len) if found else None


_NOTHING: Final = Part("", "")


def _difference(name: str, here: Part, there: Part) -> Difference:
    why = "only here" if not there.digest else "only there" if not here.digest else ""
    if here.loose and here.loose == there.loose:
        why = "blanks or case"
    return Difference(name, here.shown or here.digest, there.shown or there.digest, why)
