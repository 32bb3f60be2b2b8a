"""Calls of tools in an answer: where they stand, and what they are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec
import orjson

from llmproxy_declared.places import NOTHING, PATHS, BadAnswer, Given, Place, kind_of

#: Calls of one answer, at most.
MOST: Final = 1024


class ToolCallsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a list of calls stands, and the parts of one call in it.

    With an `index` the calls of a stream come in pieces, and those of one index belong together.
    """

    at: Given
    id: Given = ("/id", "/call_id")
    name: Given = ("/function/name", "/name")
    arguments: Given = ("/function/arguments", "/arguments", "/parameters", "/input", "/args")
    index: Given = ()

    shorthand: ClassVar[Mapping[str, object]] = PATHS

    def __post_init__(self) -> None:
        _ = ToolCallReader(self)

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`tool_calls: /message/tool_calls` is a path."""
        return {"at": tree} if isinstance(tree, str | list) else tree


class Call(msgspec.Struct, frozen=True, gc=False):
    """A call, or a piece of one."""

    id: str
    name: str
    arguments: str
    index: int | None


class ToolCallReader:
    """Reads calls."""

    def __init__(self, config: ToolCallsConfig | None) -> None:
        self._at = Place(config.at if config else (), "at")
        self._id = Place(config.id if config else (), "id")
        self._name = Place(config.name if config else (), "name")
        self._arguments = Place(config.arguments if config else (), "arguments")
        self._index = Place(config.index if config else (), "index")
        #: Whether calls come in pieces.
        self.pieced = bool(self._index)

    def read(self, document: Any) -> list[Call]:
        """Return the calls, or the pieces of calls, that stand in a document.

        Raises:
            BadAnswer: something else stands there.
        """
        found = self._at.find(document)
        if found is NOTHING:
            return []
        items = [found] if type(found) is dict else found
        if type(items) is not list or not all(type(item) is dict for item in items):
            raise BadAnswer(
                f"The upstream's answer has {kind_of(found)} at {self._at.text}, where calls should stand."
            )
        if len(items) > MOST:
            raise BadAnswer(f"The upstream's answer has more than {MOST} calls of tools.")
        return [self._call(item) for item in items]

    def _call(self, item: dict[str, Any]) -> Call:
        index = self._index.find(item)
        if self.pieced and type(index) is not int:
            raise BadAnswer(f"The upstream's answer has a call without its index at {self._index.text}.")
        name = self._name.name_in(item)
        if not name and not self.pieced:
            raise BadAnswer(f"The upstream's answer has a call without its name at {self._name.text}.")
        number = index if type(index) is int else None
        return Call(self._id.name_in(item), name, self._written(item), number)

    def _written(self, item: dict[str, Any]) -> str:
        value = self._arguments.find(item)
        if value is NOTHING:
            return ""
        if type(value) is str:
            return value
        if type(value) is dict:
            try:
                return orjson.dumps(value).decode()
            except (orjson.JSONEncodeError, RecursionError):
                raise BadAnswer(
                    "The upstream's answer has a call with arguments too deep to be told."
                ) from None
        raise BadAnswer(f"The upstream's answer has {kind_of(value)} as a call's arguments.")


def made_up_id(seed: str, number: int, name: str) -> str:
    """Return an id for a call that came without one; another answer's calls, whose `seed` is another, have others."""
    text = f"{seed}\0{number}\0{name}"
    return "call_" + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
