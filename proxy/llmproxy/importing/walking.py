"""Reading a foreign configuration so that no key of it can be passed over in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from llmproxy.keypaths import join_key


class Note(NamedTuple):
    """What became of one key of the foreign file: its path there, and a sentence."""

    path: str
    text: str


class Walk:
    """A mapping of the foreign file; what nobody took from it is told at the end."""

    def __init__(self, tree: object, path: str, notes: list[Note]) -> None:
        self.path = path
        self.notes = notes
        self._left: dict[str, Any] = {}
        if isinstance(tree, Mapping):
            self._left = {str(key): value for key, value in tree.items()}
        elif tree is not None:
            self.notes.append(Note(path, "not a mapping, so nothing in it was read"))

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._left))

    def at(self, key: str) -> str:
        """Return a key's path in the file."""
        return join_key(self.path, key)

    def take(self, key: str) -> Any:
        """Take a key's value, or None; from here on it counts as carried."""
        return self._left.pop(key, None)

    def first(self, *keys: str) -> tuple[str, Any]:
        """Take the first of several keys that is set, with its path."""
        for key in keys:
            if self._left.get(key) not in (None, ""):
                return self.at(key), self._left.pop(key)
        return self.at(keys[0]), None

    def section(self, key: str) -> Walk:
        """Take a mapping below this one; an empty one where there is none."""
        return Walk(self.take(key), self.at(key), self.notes)

    def sections(self, key: str) -> Iterator[Walk]:
        """Take the mappings of a list below this one."""
        items = self.take(key)
        if isinstance(items, list):
            for index, item in enumerate(items):
                yield Walk(item, f"{self.at(key)}[{index}]", self.notes)
        elif items is not None:
            self.tell(key, "not a list, so nothing in it was read")

    def tell(self, key: str, text: str) -> None:
        """Note what became of a key, or of the mapping itself where the key is empty."""
        self.notes.append(Note(self.at(key) if key else self.path, text))

    def under(self, more: Mapping[str, Any]) -> None:
        """Put other values under those that are written here."""
        self._left = {**more, **self._left}

    def drop(self) -> None:
        """Leave the rest untold: what is above it was told as a whole."""
        self._left = {}

    def tell_rest(self, why: Callable[[str], str]) -> None:
        """Tell of every key that nobody took."""
        for key, value in self._left.items():
            if value not in (None, {}, []):
                self.tell(key, why(key))
        self._left = {}
