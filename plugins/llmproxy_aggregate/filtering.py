"""What is taken over of an answer: only some members, or all but some, by paths such as `/items/*/id`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmproxy.plugin import EACH, read_path


class Filter:
    """Keeps what `pick` names (everything, if it names nothing), without what `drop` names."""

    def __init__(self, pick: Sequence[str] = (), drop: Sequence[str] = ()) -> None:
        """Read the paths.

        Raises:
            ValueError: one of them is none.
        """
        self._pick = _tree(pick) if pick else None
        self._drop = _tree(drop) if drop else None

    def apply(self, value: Any) -> Any:
        """Return what is kept of a value, which stays as it is."""
        if self._pick is not None:
            value = _picked(value, self._pick)
        return value if self._drop is None else _dropped(value, self._drop)


#: Names to what is meant within them; an empty one means all of it.
_Tree = dict[str, Any]


def _tree(paths: Iterable[str]) -> _Tree:
    tree: _Tree = {}
    whole: set[int] = set()
    for text in paths:
        path = read_path(text)
        if not path:
            raise ValueError("an empty path names the whole answer")
        here = tree
        for part in path:
            if id(here) in whole:
                break
            here = here.setdefault(part, {})
        else:
            here.clear()
            whole.add(id(here))
    return tree


def _inside(tree: _Tree, name: str) -> _Tree | None:
    """Return what is meant of a member or an item; None for nothing."""
    return tree.get(name, tree.get(EACH))


def _picked(value: Any, tree: _Tree) -> Any:
    if not tree:
        return value
    if isinstance(value, Mapping):
        return {
            name: _picked(each, inside)
            for name, each in value.items()
            if (inside := _inside(tree, name)) is not None
        }
    if isinstance(value, list):
        return [
            _picked(each, inside)
            for place, each in enumerate(value)
            if (inside := _inside(tree, str(place))) is not None
        ]
    return value


def _dropped(value: Any, tree: _Tree) -> Any:
    if isinstance(value, Mapping):
        return {
            name: each if inside is None else _dropped(each, inside)
            for name, each in value.items()
            if (inside := _inside(tree, name)) is None or inside
        }
    if isinstance(value, list):
        return [
            each if inside is None else _dropped(each, inside)
            for place, each in enumerate(value)
            if (inside := _inside(tree, str(place))) is None or inside
        ]
    return value
