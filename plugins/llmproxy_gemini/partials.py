"""A call whose arguments come piece by piece, each at a JSON path (`streamFunctionCallArguments`)."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

import orjson

from llmproxy_gemini.fields import unreadable

# RFC 9535, as far as Gemini writes it: names after dots or in quotes, indexes in brackets.
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_DEEPEST: Final = 64
_MOST_ITEMS: Final = 100_000
#: Elements that a list may lack before the one that is told of: an index is short, and room for it is not.
_MOST_LACKING: Final = 16
_VALUES: Final = ("stringValue", "numberValue", "boolValue")

Step = str | int


class PartialCall:
    """One call in the making."""

    __slots__ = ("_root", "_whole", "id", "name", "signature")

    def __init__(self, name: str, given: str) -> None:
        self.id = given
        self.name = name
        self.signature = ""
        self._root: dict[str, Any] = {}
        self._whole: dict[str, Any] = {}

    def take(self, call: dict[str, Any]) -> None:
        """Take what one chunk brings.

        Raises:
            ValueError: a path cannot be followed.
        """
        self.name = self.name or _text(call.get("name"))
        self.id = self.id or _text(call.get("id"))
        args = call.get("args")
        if isinstance(args, dict):
            self._whole.update(args)
        pieces = call.get("partialArgs")
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict):
                self._set(steps_of(_text(piece.get("jsonPath"))), _value(piece))

    @property
    def arguments(self) -> str:
        """The arguments as JSON text."""
        return orjson.dumps({**self._whole, **self._root}).decode()

    def _set(self, steps: list[Step], value: Any) -> None:
        place: Any = self._root
        for step, following in pairwise(steps):
            inner = _held(place, step)
            if inner is None:
                inner = [] if isinstance(following, int) else {}
                _put(place, step, inner)
            place = inner
        held = _held(place, steps[-1])
        _put(place, steps[-1], held + value if isinstance(held, str) and isinstance(value, str) else value)


def steps_of(path: str) -> list[Step]:
    """Return the steps of a JSON path.

    Raises:
        ValueError: it is none that names one place.
    """
    steps: list[Step] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or len(steps) >= _DEEPEST:
            break
        name = found[1] if found[1] is not None else found[3] if found[3] is not None else found[4]
        steps.append(int(found[2]) if name is None else name.replace("\\'", "'").replace('\\"', '"'))
        at = found.end()
    if not path.startswith("$") or at < len(path) or not steps or isinstance(steps[0], int):
        raise ValueError(f"{path[:80]!r} is no path of an argument")
    return steps


def _held(place: Any, step: Step) -> Any:
    if isinstance(step, int):
        if not isinstance(place, list):
            raise unreadable("an argument's path has an index where no list is")
        return place[step] if step < len(place) else None
    if not isinstance(place, dict):
        raise unreadable("an argument's path has a name where no object is")
    return place.get(step)


def _put(place: Any, step: Step, value: Any) -> None:
    if isinstance(step, int):
        if step >= min(_MOST_ITEMS, len(place) + 1 + _MOST_LACKING):
            raise unreadable("an argument's list is too long, or lacks too much")
        place.extend([None] * (step + 1 - len(place)))
    place[step] = value


def _value(piece: dict[str, Any]) -> Any:
    for key in _VALUES:
        if key in piece:
            return piece[key]
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
