"""What a GraphQL answer is about: its entities, by which it is purged; and whether it may be kept at all."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

#: Objects and lists of one answer that are looked through.
_MOST: Final = 100_000


class Told(NamedTuple):
    """What an answer tells: whether it was executed, and without errors; its entities by type and id (or none)."""

    executed: bool
    flawless: bool
    entities: tuple[tuple[str, str], ...]

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of a stored answer: of each entity its type with its id, and its type."""
        return tuple(dict.fromkeys(tag for kind, name in self.entities for tag in _tags(kind, name)))

    def changed(self, *, by_type: bool) -> tuple[str, ...]:
        """Return the tags of what a mutation with this answer has changed."""
        named = ((kind, name) for kind, name in self.entities if name or by_type)
        return tuple(dict.fromkeys(kind if by_type else f"{kind}:{name}" for kind, name in named))


def read_answer(body: bytes | memoryview) -> Told | None:
    """Read an answer (GraphQL, October 2021, §7.1); None if it is none, or too large to be looked through."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(answer, dict) or not answer.keys() & {"data", "errors"}:
        return None
    entities = _entities(answer.get("data"))
    if entities is None:
        return None
    flawless = not answer.get("errors") and answer.get("data") is not None and not answer.get("hasNext")
    return Told("data" in answer, flawless, entities)


def _entities(data: Any) -> tuple[tuple[str, str], ...] | None:
    found: dict[tuple[str, str], None] = {}
    waiting, seen = [data], 0
    while waiting:
        thing = waiting.pop()
        seen += 1
        if seen > _MOST:
            return None
        if isinstance(thing, dict):
            if (entity := _entity(thing)) is not None:
                found[entity] = None
            waiting += [value for value in thing.values() if isinstance(value, dict | list)]
        elif isinstance(thing, list):
            waiting += [value for value in thing if isinstance(value, dict | list)]
    return tuple(found)


def _entity(thing: dict[str, Any]) -> tuple[str, str] | None:
    kind = thing.get("__typename")
    if not isinstance(kind, str) or not kind:
        return None
    for name in ("id", "_id"):
        value = thing.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return kind, str(value)
    return kind, ""


def _tags(kind: str, name: str) -> tuple[str, ...]:
    return (f"{kind}:{name}", kind) if name else (kind,)
