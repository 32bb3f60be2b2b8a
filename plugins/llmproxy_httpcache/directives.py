"""Cache-Control, and the fields that aim it at one kind of cache, as settled facts (RFC 9111 §5.2, RFC 9213)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from llmproxy_httpcache.structured import BadStructure, Token, parse_dictionary

#: Seconds that stand for "longer than anybody will live" (RFC 9111 §1.2.2).
FOREVER: Final = 2**31

# One directive: a token, and perhaps a value, which is a token or a quoted string (RFC 9111 §5.2).
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_CLOSED: Final = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_PIECE: Final = re.compile(rb'(?:[^",]++|"(?:[^"\\]++|\\.)*+")++', re.DOTALL)
_DIRECTIVE: Final = re.compile(
    rb"[ \t]*(" + _TOKEN + rb')(?:=(?:"((?:[^"\\]|\\.)*)"|(' + _TOKEN + rb")))?[ \t]*", re.DOTALL
)
_NAME: Final = re.compile(rb"[ \t]*(" + _TOKEN + rb")")
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_NUMBER: Final = re.compile(rb"[0-9]+")

#: What stands for the value of a directive that is not written as one should be.
BROKEN: Final = b"\0"

Directive = tuple[bytes, bytes | None]


class ResponseControl(msgspec.Struct, frozen=True, gc=False):
    """What the origin allows. Lifetimes are seconds; None where nothing is said, 0 where it cannot be read."""

    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    no_store: bool = False
    no_cache: bool = False
    #: The fields alone that `no-cache="..."` names, in lower case.
    no_cache_fields: tuple[bytes, ...] = ()
    private: bool = False
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    no_transform: bool = False
    #: Whether a targeted field said it: then Expires says nothing (RFC 9213 §2.2).
    targeted: bool = False


class RequestControl(msgspec.Struct, frozen=True, gc=False):
    """What the caller asks of caches. `max_stale` is FOREVER where it names no number."""

    max_age: int | None = None
    max_stale: int | None = None
    min_fresh: int | None = None
    stale_if_error: int | None = None
    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False

    @property
    def demands(self) -> bool:
        """Whether a fresh answer may still not be fresh enough."""
        return self.no_cache or self.max_age is not None or self.min_fresh is not None


NO_CONTROL: Final = ResponseControl()
NO_DEMANDS: Final = RequestControl()


def split(value: bytes) -> Iterator[Directive]:
    """Yield the directives of a field, names in lower case.

    One that is not written as it should be has the value BROKEN, so that it forbids what it may forbid and allows
    nothing.
    """
    closed = _CLOSED.match(value)
    if closed is not None and (end := closed.end()) < len(value):
        # A quote that nobody closes: what it swallows could have been anything. It is looked for once.
        yield b"no-cache", None
        value = value[:end] + value[end:].replace(b'"', b",")
    for piece in _PIECE.finditer(value):
        whole = _DIRECTIVE.fullmatch(piece[0])
        if whole is not None:
            name, quoted, token = whole.groups()
            yield name.lower(), token if quoted is None else _ESCAPED.sub(rb"\1", quoted)
        elif (name := _NAME.match(piece[0])) is not None:
            yield name[1].lower(), BROKEN


def seconds(value: bytes | None) -> int:
    """Return a delta-seconds, 0 where it is none, never more than FOREVER (RFC 9111 §1.2.2, §4.2.1)."""
    if value is None or _NUMBER.fullmatch(value) is None:
        return 0
    return FOREVER if len(value) > 10 and value.lstrip(b"0")[10:] else min(int(value), FOREVER)


def names(value: bytes) -> tuple[bytes, ...]:
    """Return the field names of a list, in lower case."""
    return tuple(name for part in value.split(b",") if (name := part.strip().lower()))


_LIFETIMES: Final = {
    b"max-age": "max_age",
    b"s-maxage": "s_maxage",
    b"stale-while-revalidate": "stale_while_revalidate",
    b"stale-if-error": "stale_if_error",
    b"min-fresh": "min_fresh",
}
_SWITCHES: Final = {
    b"no-store": "no_store",
    b"must-revalidate": "must_revalidate",
    b"proxy-revalidate": "proxy_revalidate",
    b"no-transform": "no_transform",
    b"only-if-cached": "only_if_cached",
}
#: What a directive that cannot be read must not allow.
_PERMITS: Final = {b"public": "public", b"must-understand": "must_understand"}


def _gather(pairs: Iterator[Directive]) -> dict[str, object]:
    """Return the facts that directives state; of two that differ the stricter one (RFC 9111 §4.2.1)."""
    facts: dict[str, object] = {}
    for name, value in pairs:
        if (lifetime := _LIFETIMES.get(name)) is not None:
            known = facts.get(lifetime)
            given = seconds(value)
            facts[lifetime] = given if known is None else min(given, int(str(known)))
        elif (switch := _SWITCHES.get(name)) is not None:
            facts[switch] = True
        elif (permit := _PERMITS.get(name)) is not None:
            facts[permit] = value is not BROKEN
        elif name == b"no-cache":
            _note_no_cache(facts, value)
        elif name == b"private":
            facts["private"] = True
        elif name == b"max-stale":
            facts["max_stale"] = FOREVER if value is None else seconds(value)
    return facts


def _note_no_cache(facts: dict[str, object], value: bytes | None) -> None:
    listed = () if value is None or value is BROKEN else names(value)
    if listed:
        facts["no_cache_fields"] = (*facts.get("no_cache_fields", ()), *listed)  # type: ignore[misc]
    else:
        facts["no_cache"] = True


def _struct(kind: Callable[..., object], facts: Mapping[str, object]) -> object:
    known = kind.__struct_fields__  # type: ignore[attr-defined]
    return kind(**{name: value for name, value in facts.items() if name in known})


@lru_cache(maxsize=1024)
def _remembered_response(value: bytes) -> ResponseControl:
    return _struct(ResponseControl, _gather(split(value)))  # type: ignore[return-value]


@lru_cache(maxsize=1024)
def _remembered_request(value: bytes) -> RequestControl:
    return _struct(RequestControl, _gather(split(value)))  # type: ignore[return-value]


#: Longer fields than anybody writes are read anew each time, so that they do not fill the memory.
_LONGEST: Final = 256


def response_control(value: bytes | None) -> ResponseControl:
    """Read an answer's Cache-Control, its lines joined."""
    if value is None:
        return NO_CONTROL
    read = _remembered_response if len(value) <= _LONGEST else _remembered_response.__wrapped__
    return read(value)


def request_control(value: bytes | None) -> RequestControl:
    """Read a request's Cache-Control, its lines joined."""
    if value is None:
        return NO_DEMANDS
    read = _remembered_request if len(value) <= _LONGEST else _remembered_request.__wrapped__
    return read(value)


def targeted_control(value: bytes) -> ResponseControl | None:
    """Read a targeted field (RFC 9213 §2.1); None where it is empty or no dictionary, and so says nothing.

    A directive of a wrong type is passed over, and names are compared as they are: they belong to a structured field.
    """
    try:
        members = parse_dictionary(value)
    except BadStructure:
        return None
    if not members:
        return None
    facts = _gather(_typed(members))
    return _struct(ResponseControl, {**facts, "targeted": True})  # type: ignore[return-value]


def _typed(members: Mapping[str, object]) -> Iterator[Directive]:
    for name, value in members.items():
        key = name.encode()
        if key in _LIFETIMES:
            # Only whole numbers are durations; True is one to Python alone.
            if isinstance(value, int) and not isinstance(value, bool):
                yield key, b"%d" % max(value, 0)
        elif value is True:
            yield key, None
        elif isinstance(value, str | Token) and key in {b"no-cache", b"private"}:
            yield key, str(value).encode()
