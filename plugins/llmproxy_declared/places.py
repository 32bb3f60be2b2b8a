"""Where something stands in an endpoint's JSON: paths such as `/choices/0/text` or `/output/*/text` (RFC 6901)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from llmproxy.plugin import EACH, ConfigError, UpstreamError, read_path

#: What a place gives where it has nothing.
NOTHING: Final = object()

#: A path as the configuration has it: one, or several of which the first that leads to something counts.
Given = str | tuple[str, ...]

#: The schema of such.
PATHS: Final[Mapping[str, object]] = MappingProxyType(
    {"type": ["string", "array"], "items": {"type": "string"}}
)

#: A step of a path: a member's name, and the place in a list that it may be.
_Step = tuple[str, int]
_EVERY: Final = -1
_NO_INDEX: Final = -2
_DIGITS: Final = 9

# A path in the manner of JSONPath, JMESPath or JavaScript: what many write first.
_DOTTED: Final = re.compile(r"\$?\.?[A-Za-z_][\w-]*(?:\.[\w-]+|\[(?:\d+|\*)\]|\['[^']*'\])*")
_STEP: Final = re.compile(r"[\w-]+|\*")


class BadAnswer(UpstreamError, ValueError):
    """An answer is not of the declared form; the message names the place, and nothing that stands there."""

    def __init__(self, message: str) -> None:
        UpstreamError.__init__(self, "upstream_bad_answer", message, phase="body", sent=True)


class Place:
    """Where one thing stands; falsy where the configuration names no path."""

    __slots__ = ("_paths", "is_of_many", "text")

    def __init__(self, given: Given, key: str = "") -> None:
        """Read the paths that stand at a key of the configuration.

        Raises:
            ConfigError: one of them is none.
        """
        texts = (given,) if isinstance(given, str) else given
        self._paths = [_steps(_read(text, key)) for text in texts]
        #: Whether what is found is a list that was made of every item of another.
        self.is_of_many = any(step[1] == _EVERY for path in self._paths for step in path)
        self.text = " or ".join(text or '""' for text in texts)

    def __bool__(self) -> bool:
        return bool(self._paths)

    def find(self, document: Any) -> Any:
        """Return what stands there; `NOTHING` where that is nothing, or null."""
        for path in self._paths:
            value = _descend(document, path)
            if value is not None and value is not NOTHING:
                return value
        return NOTHING

    def text_in(self, document: Any) -> str:
        """Return the text that stands there, "" where there is none; pieces in a list are joined.

        Raises:
            BadAnswer: something else stands there.
        """
        value = self.find(document)
        if value is NOTHING:
            return ""
        if type(value) is str:
            return value
        if type(value) is list and all(type(piece) is str for piece in value):
            return "".join(value)
        raise BadAnswer(
            f"The upstream's answer has {kind_of(value)} at {self.text}, where text should stand."
        )

    def name_in(self, document: Any) -> str:
        """Return a name that stands there, which may be a number; "" where there is none."""
        value = self.find(document)
        return value[:512] if type(value) is str else str(value) if type(value) is int else ""


#: A place that is not named.
NOWHERE: Final = Place(())


def kind_of(value: Any) -> str:
    """Say in JSON's words what a value is."""
    kinds = {dict: "an object", list: "a list", bool: "true or false", str: "text", type(None): "null"}
    return kinds.get(type(value), "a number")


def _steps(path: tuple[str, ...]) -> tuple[_Step, ...]:
    return tuple((part, _EVERY if part == EACH else _index(part)) for part in path)


def _index(part: str) -> int:
    plain = part.isascii() and part.isdigit() and len(part) <= _DIGITS and (part == "0" or part[0] != "0")
    return int(part) if plain else _NO_INDEX


def _descend(value: Any, path: tuple[_Step, ...], at: int = 0) -> Any:
    """Return what a document holds at a path; of every item of a list, as many as have it."""
    for name, index in path[at:] if at else path:
        at += 1
        kind = type(value)
        if kind is dict:
            value = value.get(name, NOTHING)
        elif kind is not list:
            return NOTHING
        elif index == _EVERY:
            return [found for each in value if (found := _descend(each, path, at)) is not NOTHING]
        else:
            value = value[index] if 0 <= index < len(value) else NOTHING
    return value


def _read(text: str, key: str) -> tuple[str, ...]:
    try:
        return read_path(text)
    except ValueError as fault:
        near = None
        if _DOTTED.fullmatch(text):
            near = "/" + "/".join(_STEP.findall(text))
        raise ConfigError(key, str(fault), near) from None
