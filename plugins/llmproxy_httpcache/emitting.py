"""What caches behind this one are told: browsers by Cache-Control, CDNs by CDN-Cache-Control, both by Vary.

An answer of which the origin says that nobody else may keep it, or not without asking, leaves with the origin's own
words; so do errors. What is not for everybody leaves as private. Nothing of that can be configured away.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llmproxy_httpcache.directives import BROKEN, ResponseControl, response_control, split, targeted_control
from llmproxy_httpcache.headers import Fields, RawHeader
from llmproxy_httpcache.vary import members

CDN: Final = b"cdn-cache-control"

#: `limits`, as bits: leaves as it came; not for everybody; what the origin wants of other caches too.
AS_IS: Final = 1
CLOSED: Final = 2
_MUST_REVALIDATE: Final = 4
_PROXY_REVALIDATE: Final = 8
_NO_TRANSFORM: Final = 16

_WANTED: Final = (
    (_MUST_REVALIDATE, b"must-revalidate"),
    (_PROXY_REVALIDATE, b"proxy-revalidate"),
    (_NO_TRANSFORM, b"no-transform"),
)

#: Statuses that a route's words are for.
_TOLD: Final = frozenset({200, 203, 204, 206, 300, 301, 304, 308})
#: What lets shared caches keep an answer, and so is left out where they may not.
_OPENING: Final = frozenset({b"public", b"s-maxage"})
_CLOSING: Final = frozenset({b"private", b"no-store"})
_COUNTED: Final = frozenset({b"max-age", b"s-maxage"})


def limits_of(status: int, fields: Fields, *, closed: bool) -> int:
    """Return the bounds of what may be said of an answer; `closed` if it is not for everybody."""
    control = response_control(fields.get(b"cache-control"))
    targeted = targeted_control(fields.get(CDN) or b"") if CDN in fields.last else None
    controls = (control,) if targeted is None else (control, targeted)
    if status not in _TOLD or any(_forbids(each) for each in controls):
        return AS_IS
    limits = CLOSED if closed or b"set-cookie" in fields.last else 0
    for each in controls:
        limits |= _MUST_REVALIDATE if each.must_revalidate else 0
        limits |= _PROXY_REVALIDATE if each.proxy_revalidate else 0
        limits |= _NO_TRANSFORM if each.no_transform else 0
    return limits


def _forbids(control: ResponseControl) -> bool:
    return control.no_store or control.private or control.no_cache or bool(control.no_cache_fields)


class Emission:
    """What one route says to the caches behind it."""

    def __init__(
        self, cache_control: str = "", cdn_cache_control: str = "", vary: Iterable[str] = ()
    ) -> None:
        self._said = [
            (name, directives(value))
            for name, value in ((b"Cache-Control", cache_control), (b"CDN-Cache-Control", cdn_cache_control))
            if value
        ]
        self._vary = [name.encode() for name in vary]
        #: Fields of the origin that give way, in lower case.
        self.replaced = frozenset(name.lower() for name, _ in self._said) | (
            {b"expires"} if cache_control else frozenset()
        )
        self._templates: dict[int, list[tuple[bytes, bytes, tuple[int, ...]]]] = {}

    def __bool__(self) -> bool:
        return bool(self._said or self._vary)

    def pairs(self, limits: int, age: int = 0) -> list[RawHeader]:
        """Return the fields that are said of a stored answer.

        Lifetimes count from now on: `age` is added to them, as whoever reads them takes it off again.
        """
        templates = self._templates.get(limits)
        if templates is None:
            templates = self._templates[limits] = self._made(limits)
        return [
            (name, text % tuple([number + age for number in numbers]) if numbers else text)
            for name, text, numbers in templates
        ]

    def _made(self, limits: int) -> list[tuple[bytes, bytes, tuple[int, ...]]]:
        made = [(b"Vary", b", ".join(self._vary), ())] if self._vary else []
        if limits & AS_IS:
            return made  # type: ignore[return-value]
        told: list[tuple[bytes, bytes, tuple[int, ...]]] = []
        for name, said in self._said:
            if limits & CLOSED and name.lower() == CDN:
                continue
            right = bounded(said, limits)
            numbers = tuple(int(value or 0) for directive, value in right if directive in _COUNTED)
            told.append((name, b", ".join(_written(*pair) for pair in right), numbers))
        return [*made, *told]

    def with_vary(self, value: bytes | None) -> bytes | None:
        """Return an answer's Vary with the route's names added, None where there is nothing to say."""
        known = [] if value is None else members(value)
        lower = {name.lower() for name in known}
        new = [name for name in self._vary if name.lower() not in lower]
        if b"*" in lower or not new:
            return value
        return b", ".join([*known, *new])


Directives = list[tuple[bytes, bytes | None]]


def directives(value: str) -> Directives:
    """Read what a route wants said.

    Raises:
        ValueError: it is not written as Cache-Control is.
    """
    found = list(split(value.encode("ascii")))
    for name, text in found:
        if text == BROKEN or (name in _COUNTED and not (text or b"").isdigit()):
            raise ValueError(f"{name.decode()!r} is not written as a directive")
    if not found or any(sign in value for sign in '"%\r\n'):
        raise ValueError("names no directives, or some that no cache knows")
    return found


def bounded(said: Directives, limits: int) -> Directives:
    """Return what is said within the bounds of an answer."""
    right = [pair for pair in said if not (limits & CLOSED and pair[0] in _OPENING)]
    names = {name for name, _ in right}
    if limits & CLOSED and not names & _CLOSING:
        right.insert(0, (b"private", None))
    wanted: Directives = [(name, None) for bit, name in _WANTED if limits & bit and name not in names]
    return right + wanted


def _written(name: bytes, value: bytes | None) -> bytes:
    if name in _COUNTED:
        return name + b"=%d"
    return name if value is None else b"%b=%b" % (name, value)
