"""Finds and changes members of a JSON object in place: what is not named stays as it is, to the byte."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import orjson

_MAX_MEMBERS = 10_000
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]+")
# An escape that may stand for a character of a plain key. Those that encoders put into text (quotes, <, >, &,
# letters beyond ASCII) do not match, so that an ordinary body keeps the quick way.
_ESCAPED_KEY = re.compile(rb"\\u00(?:2[dDeE]|3[0-9]|[46][0-9a-fA-F]|[57][0-9aA]|5[fF])")
_COLON = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*")
_SPACE = b" \t\n\r"
_NEXT_KEY = re.compile(rb'[ \t\n\r]*[{,][ \t\n\r]*("(?:[^"\\]|\\.)*")[ \t\n\r]*:[ \t\n\r]*')


_list_of_raw = msgspec.json.Decoder(list[msgspec.Raw])


class JsonFault(ValueError):
    """A body that is no JSON object a gateway may act on."""


class BrokenJson(JsonFault):
    """The body is not JSON, from the byte at `position` on."""

    def __init__(self, position: int) -> None:
        super().__init__(f"the body is not valid JSON (at byte {position})")
        self.position = position


class NotAnObject(JsonFault):
    """The body is JSON, but not an object."""

    def __init__(self) -> None:
        super().__init__("the body must be a JSON object")


class DuplicateKey(JsonFault):
    """A member that the gateway acts on is there twice, so readers may disagree on its value."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the body must hold '{key}' only once")
        self.key = key


class TooComplex(JsonFault):
    """The body is nested deeper, or has more members, than is read."""

    def __init__(self) -> None:
        super().__init__("the body is nested too deeply or has too many members")


class Member(msgspec.Struct, frozen=True, gc=False):
    """Where a member stands: its key's first quote, and its value from start to end."""

    key_start: int
    value_start: int
    value_end: int


class _Key:
    """A decoded key that equals no other, so that a decoded object keeps its duplicates."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def scan(body: bytes, keys: frozenset[str]) -> dict[str, Member]:
    """Check that `body` is a JSON object and find its top-level members among `keys`; raise `JsonFault`.

    A number too large for a double is JSON and passes.
    """
    reader, needles = _reader(keys)
    found: dict[str, Member] = {}
    try:
        if not body.isascii():
            body.decode()
        record = reader.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise _fault(body, fault) from None
    if needles is None or (b"\\" in body and _ESCAPED_KEY.search(body)):
        return _walk(body, keys)
    for key, field, needle in needles:
        value = getattr(record, field)
        if value is not None:
            # The member is there, in one spelling, and the spelling once: that is its place, and no other is.
            start = body.find(needle)
            if body.find(needle, start + 1) >= 0:
                return _walk(body, keys)
            at = _after_colon(body, start + len(needle))
            found[key] = Member(start, at, at + len(memoryview(value)))
    return found


def member_value(body: bytes, member: Member) -> bytes:
    """Return a member's value as it stands in the body."""
    return body[member.value_start : member.value_end]


def elements(body: bytes, array: Member) -> list[tuple[int, int]]:
    """Return where each element of a JSON array starts and ends, without the space around it."""
    places = []
    at = array.value_start + 1
    for raw in _list_of_raw.decode(member_value(body, array)):
        while body[at] in _SPACE:
            at += 1
        end = at + len(memoryview(raw))
        places.append((at, end))
        at = _after_comma(body, end)
    return places


def patch(body: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Replace byte ranges `(start, end, new)`, which must be in order and apart."""
    parts: list[bytes] = []
    done = 0
    for start, end, new in edits:
        if not done <= start <= end <= len(body):
            raise ValueError(f"edit {start}:{end} overlaps the one before, or leaves the body")
        parts += (body[done:start], new)
        done = end
    parts.append(body[done:])
    return b"".join(parts)


def insertion(body: bytes, key: str, value: bytes) -> tuple[int, int, bytes]:
    """Return the edit that adds a last member to `body`, which `scan` has accepted and `key` is not in."""
    end = body.rindex(b"}")
    empty = body[:end].rstrip(b" \t\n\r").endswith(b"{")
    return end, end, (b"" if empty else b",") + orjson.dumps(key) + b":" + value


def insert_member(body: bytes, key: str, value: bytes) -> bytes:
    """Add a last member; see `insertion`."""
    return patch(body, [insertion(body, key, value)])


@lru_cache(maxsize=64)
def _reader(keys: frozenset[str]) -> tuple[msgspec.json.Decoder[Any], list[tuple[str, str, bytes]] | None]:
    # Keys with other characters have spellings that `_ESCAPED_KEY` does not know: no needles, always walked.
    plain = all(_PLAIN_KEY.fullmatch(key) for key in keys)
    fields = {key: f"f{n}" for n, key in enumerate(keys)} if plain else {}
    struct = msgspec.defstruct(
        "Members",
        [(field, msgspec.Raw, None) for field in fields.values()],
        rename={field: key for key, field in fields.items()},
        gc=False,
    )
    needles = [(key, field, b'"%b"' % key.encode()) for key, field in fields.items()]
    return msgspec.json.Decoder(struct), needles if plain else None


def _after_colon(body: bytes, key_end: int) -> int:
    if body[key_end] == 58 and body[key_end + 1] > 32:
        return key_end + 1
    colon = _COLON.match(body, key_end)
    assert colon is not None
    return colon.end()


def _after_comma(body: bytes, at: int) -> int:
    while body[at] in _SPACE:
        at += 1
    return at + 1


def _walk(body: bytes, keys: frozenset[str]) -> dict[str, Member]:
    """Find members one after another, however their keys are spelled; the values are skipped in C."""
    found: dict[str, Member] = {}
    position = 0
    for key, value in _members(body):
        token = _NEXT_KEY.match(body, position)
        assert token is not None
        position = token.end() + len(memoryview(value))
        if key.name in found:
            raise DuplicateKey(key.name)
        if key.name in keys:
            found[key.name] = Member(token.start(1), token.end(), position)
    return found


def _members(body: bytes) -> list[tuple[_Key, msgspec.Raw]]:
    count = 0

    def make_key(kind: type[_Key], name: str) -> _Key:
        nonlocal count
        count += 1
        if count > _MAX_MEMBERS:
            raise ValueError(count)
        return kind(name)

    try:
        pairs = msgspec.json.decode(body, type=dict[_Key, msgspec.Raw], dec_hook=make_key)
    except (msgspec.ValidationError, RecursionError):
        raise TooComplex from None
    return list(pairs.items())


def _fault(body: bytes, fault: Exception) -> JsonFault:
    if isinstance(fault, RecursionError):
        return TooComplex()
    if isinstance(fault, msgspec.ValidationError):
        return NotAnObject()
    try:
        orjson.loads(body.decode())
    except UnicodeDecodeError as broken:
        return BrokenJson(broken.start)
    except orjson.JSONDecodeError as broken:
        return BrokenJson(len(broken.doc[: broken.pos].encode()))
    return BrokenJson(len(body))
