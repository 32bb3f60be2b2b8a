"""Conditions on an event or an answer: what must stand at a place for something to hold."""

from __future__ import annotations

from typing import Any, Final

from llmproxy.plugin import ConfigError
from llmproxy_declared.places import NOTHING, Place

#: The name of a server-sent event, in place of a path.
_EVENT: Final = "event"


class Condition:
    """A path that leads to something, neither false nor empty; or paths and what must stand at each of them."""

    __slots__ = ("_event", "_places", "_present")

    def __init__(self, given: Any, key: str) -> None:
        """Read a condition that stands at a key of the configuration.

        Raises:
            ConfigError: it is none.
        """
        self._present = Place(given, key) if isinstance(given, str) else None
        self._event: tuple[Any, ...] | None = None
        self._places: list[tuple[Place, tuple[Any, ...]]] = []
        if self._present is None:
            self._read(given, key)

    def _read(self, given: Any, key: str) -> None:
        if not isinstance(given, dict) or not given:
            raise ConfigError(key, "expected a path, or paths with what stands there: {/status: [failed]}")
        for path, expected in given.items():
            values = tuple(expected) if isinstance(expected, list) else (expected,)
            if path == _EVENT:
                self._event = values
            else:
                self._places.append((Place(str(path), key), values))

    def holds(self, document: Any, event: str = "") -> bool:
        """Whether it holds of a document that came in an event of that name."""
        if self._present is not None:
            value = self._present.find(document)
            return value is not NOTHING and bool(value)
        if self._event is not None and event not in self._event:
            return False
        return all(_is_one_of(place.find(document), values) for place, values in self._places)


def _is_one_of(value: Any, expected: tuple[Any, ...]) -> bool:
    found = None if value is NOTHING else value
    return any(type(found) is type(each) and found == each for each in map(_plain, expected))


def _plain(expected: Any) -> Any:
    """Return configured text as plain text, whatever it was put in from."""
    return str.__str__(expected) if isinstance(expected, str) else expected
