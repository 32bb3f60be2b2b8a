"""Changes a JSON document in place: bytes that no change names stay as they are (RFC 6901 pointers)."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from llmproxy.plugin import BrokenJson, Member, elements, insertion, patch, scan

#: Steps of a pointer: each is another look through what is below it.
MOST_STEPS: Final = 32
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_KEY: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_SPACE: Final = b" \t\n\r"

Pointer = tuple[str, ...]


class Unfit(ValueError):
    """The document is JSON, but not of the shape that a change needs."""


class _Place(NamedTuple):
    """Where a value stands; `key` is where its key begins, or the value itself in an array."""

    key: int
    start: int
    end: int


def read_pointer(text: str) -> Pointer:
    """Read a pointer to something inside a document.

    Raises:
        ValueError: it is none.
    """
    if not text.startswith("/") or re.search(r"~(?![01])", text):
        raise ValueError(f"{text!r} is no JSON pointer such as /user/name")
    steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/"))
    if len(steps) > MOST_STEPS:
        raise ValueError(f"a pointer has at most {MOST_STEPS} steps")
    return steps


def set_value(body: bytes, pointer: Pointer, value: Any, *, only_missing: bool = False) -> bytes:
    """Put a value in the pointer's place, making the objects above it where there are none.

    Raises:
        Unfit: what stands on the way can hold no such member.
        JsonFault: the body is no JSON document, or a name on the way is there twice.
    """
    place = _whole(body)
    for depth, step in enumerate(pointer):
        inner = _step(body, place, step)
        if inner is None:
            return _put(body, place, pointer[depth:], value)
        place = inner
    if only_missing:
        return body
    return patch(body, [(place.start, place.end, _written(value))])


def remove(body: bytes, pointer: Pointer) -> bytes:
    """Take the pointer's value out; a body that has none stays as it is.

    Raises:
        JsonFault: as for `set_value`.
    """
    place = _find(body, pointer)
    if place is None:
        return body
    start, end = place.key, place.end
    after = end
    while body[after] in _SPACE:
        after += 1
    if body[after : after + 1] == b",":
        end = after + 1
        while body[end] in _SPACE:
            end += 1
    else:
        before = start - 1
        while body[before] in _SPACE:
            before -= 1
        if body[before : before + 1] == b",":
            start = before
    return patch(body, [(start, end, b"")])


def rename(body: bytes, pointer: Pointer, name: str) -> bytes:
    """Give a member another name in the same object; a body that has none stays as it is.

    Raises:
        Unfit: the object has a member of the new name too, or the pointer is into an array.
        JsonFault: as for `set_value`.
    """
    place = _find(body, pointer)
    if place is None:
        return body
    if _find(body, (*pointer[:-1], name)) is not None:
        raise Unfit("a member is there under its old and its new name")
    key = _KEY.match(body, place.key)
    if key is None or place.key == place.start:
        raise Unfit("an array's elements have no names")
    return patch(body, [(place.key, key.end(), orjson.dumps(name))])


def _written(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # Bytes of a header that are no UTF-8.
        raise Unfit("a value of the request is no text") from None


def _whole(body: bytes) -> _Place:
    start = len(body) - len(body.lstrip(_SPACE))
    end = len(body.rstrip(_SPACE))
    if body[start : start + 1] == b"{":
        scan(body, frozenset())
    else:
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            raise BrokenJson(start) from None
    return _Place(start, start, end)


def _find(body: bytes, pointer: Pointer) -> _Place | None:
    place: _Place | None = _whole(body)
    for step in pointer:
        if place is None:
            return None
        place = _step(body, place, step)
    return place


def _step(body: bytes, place: _Place, step: str) -> _Place | None:
    """Return the place of a member or element, None where there is none."""
    first = body[place.start : place.start + 1]
    if first == b"{":
        found = scan(body[place.start : place.end], frozenset((step,))).get(step)
        if found is None:
            return None
        return _Place(
            place.start + found.key_start,
            place.start + found.value_start,
            place.start + found.value_end,
        )
    if first == b"[" and _INDEX.fullmatch(step):
        places = _elements(body, place)
        index = int(step)
        return _Place(places[index][0], *places[index]) if index < len(places) else None
    return None


def _elements(body: bytes, place: _Place) -> list[tuple[int, int]]:
    try:
        return elements(body, Member(place.start, place.start, place.end))
    except msgspec.DecodeError:
        raise BrokenJson(place.start) from None


def _put(body: bytes, place: _Place, steps: Pointer, value: Any) -> bytes:
    """Add a value to the object or array at `place`, which lacks the first of `steps`."""
    for step in reversed(steps[1:]):
        value = {step: value}
    data = _written(value)
    first = body[place.start : place.start + 1]
    if first == b"{":
        start, end, text = insertion(body[place.start : place.end], steps[0], data)
        return patch(body, [(place.start + start, place.start + end, text)])
    if first == b"[" and steps[0] == "-":
        comma = b"," if _elements(body, place) else b""
        return patch(body, [(place.end - 1, place.end - 1, comma + data)])
    raise Unfit("a value stands where an object should")
