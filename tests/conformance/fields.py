"""Every field of a dialect's public type definitions, each in a request of its own.

The definitions are those of the providers' official SDKs. A `Case` is one field, reached through one choice of union
members: the request that holds it, and the same request without it (or, where the field must be there, with another
value), so that what becomes of the field can be seen from outside.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

import pydantic
import typing_extensions

_DEPTH = 9

#: What a text must look like for its field to make sense, by the field's name.
_TEXTS = {
    "url": ("https://example.com/a.png", "https://example.com/b.png"),
    "image_url": ("https://example.com/a.png", "https://example.com/b.png"),
    "file_url": ("https://example.com/a.pdf", "https://example.com/b.pdf"),
    "fileUri": ("https://example.com/a.png", "https://example.com/b.png"),
    "file_data": ("data:application/pdf;base64,aGVsbG8=", "data:application/pdf;base64,d29ybGQ="),
    "data": ("aGVsbG8=", "d29ybGQ="),
    "partial_json": ("{}", '{"a":1}'),
    "arguments": ('{"a":1}', '{"a":2}'),
    "mimeType": ("image/png", "image/jpeg"),
    "media_type": ("image/png", "image/jpeg"),
    "responseMimeType": ("application/json", "text/plain"),
    "thoughtSignature": ("aGVsbG8=", "d29ybGQ="),
    "role": ("user", "model"),
    "effort": ("high", "low"),
    "format": ("date", "time"),
}
_SCHEMAS = (
    {"type": "object", "properties": {"a": {"type": "string"}}},
    {"type": "object", "properties": {"b": {"type": "integer"}}},
)


#: What Google's definitions call optional and no request makes sense without.
_NEEDED = {"type", "data", "mimeType", "fileUri"}


@dataclass(frozen=True)
class Node:
    """One type, plainly: object, array, union, or a scalar with two different values."""

    kind: str
    fields: tuple[tuple[str, Node, bool], ...] = ()
    members: tuple[Node, ...] = ()
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Case:
    """A field by its path (lists as `[]`), a request that holds it, and one that does not."""

    path: str
    present: dict[str, Any]
    absent: dict[str, Any]


def cases(root: Node, frame: dict[str, Any], lists: dict[str, list[Any]]) -> Iterator[Case]:
    """Make the cases of a request type.

    `frame` is a request that is complete in itself; `lists` says what stands before the tried element of its lists.
    """
    for name, node, _ in root.fields:
        for path, present, absent in _variants(node, name, _DEPTH):
            before = lists.get(name, [])
            held = {**frame, name: _after(before, present)}
            if absent is not None:
                without = {**frame, name: _after(before, absent)}
            else:
                without = frame if name in frame else {k: v for k, v in frame.items() if k != name}
            if held != without:
                yield Case(path, held, without)


def _after(before: list[Any], value: Any) -> Any:
    return [*before, *value] if isinstance(value, list) else value


def _variants(node: Node, path: str, depth: int) -> Iterator[tuple[str, Any, Any]]:
    """Yield each field at or below a node: its path, a value with it, and one without (None: the node itself is it)."""
    if node.kind == "union":
        for member in _arms(node):
            yield from _variants(member, path, depth)
    elif node.kind == "array":
        for inner, present, absent in _variants(node.members[0], path + "[]", depth):
            yield inner, [present], None if absent is None else [absent]
    elif node.kind == "object":
        if set(minimal(node)) - {"role"}:  # what is empty, or only says whose turn it is, says nothing
            yield path, minimal(node), None
        if depth > 0:
            for name, field, required in node.fields:
                yield from _of_field(node, name, field, path, depth, required=required)
    else:
        yield path, node.values[0], None


def _arms(node: Node) -> list[Node]:
    """Return the members worth trying: all that have an inside, one of the plain values."""
    plain = [member for member in node.members if member.kind == "scalar"]
    return [*(member for member in node.members if member.kind != "scalar"), *plain[:1]]


def _of_field(
    node: Node, name: str, field: Node, path: str, depth: int, *, required: bool
) -> Iterator[tuple[str, Any, Any]]:
    for inner, present, absent in _variants(field, f"{path}.{name}", depth - 1):
        held = {**minimal(node), name: present}
        if absent is not None:
            yield inner, held, {**minimal(node), name: absent}
        elif not required:
            yield inner, held, {key: value for key, value in held.items() if key != name}
        elif field.kind == "scalar" and len(field.values) > 1:
            yield inner, held, {**held, name: field.values[1]}


def minimal(node: Node) -> Any:
    """Return the smallest value of a type."""
    if node.kind == "object":
        return {name: minimal(field) for name, field, required in node.fields if required}
    if node.kind == "array":
        return [minimal(node.members[0])]
    return minimal(node.members[0]) if node.kind == "union" else node.values[0]


def node_of(hint: Any, name: str = "", seen: tuple[Any, ...] = ()) -> Node | None:
    """Read a type hint; None where it is a type within itself, or one that JSON has no place for."""
    hint = _bare(hint)
    origin = get_origin(hint)
    if origin is Literal:
        # The first is mostly the default, which need not be said.
        return Node("scalar", values=get_args(hint)[::-1][:2])
    if origin in {Union, types.UnionType}:
        members = [node_of(arm, name, seen) for arm in get_args(hint) if arm is not type(None)]
        found = tuple(member for member in members if member is not None)
        return found[0] if len(found) == 1 else Node("union", members=found) if found else None
    if origin in {list, typing.Iterable, tuple} or str(origin).endswith(("Iterable'>", "Sequence'>")):
        inner = node_of(get_args(hint)[0], name, seen)
        return None if inner is None else Node("array", members=(inner,))
    if origin is dict or hint in {dict, Any, object} or str(origin).endswith("Mapping'>"):
        return Node("scalar", values=_SCHEMAS)
    return _class_node(hint, name, seen)


def _class_node(hint: Any, name: str, seen: tuple[Any, ...]) -> Node | None:
    if hint in seen or not isinstance(hint, type):
        return None
    if typing_extensions.is_typeddict(hint):
        return Node("object", fields=tuple(_typed_fields(hint, (*seen, hint))))
    if issubclass(hint, pydantic.BaseModel):
        return Node("object", fields=tuple(_model_fields(hint, (*seen, hint))))
    return _scalar(hint, name)


def _scalar(hint: type, name: str) -> Node | None:
    if issubclass(hint, enum.Enum):
        values = [member.value for member in hint if "UNSPECIFIED" not in str(member.value)]
        values.sort(key=lambda value: value != "OBJECT")  # of schemas, the kind that has an inside
        return Node("scalar", values=tuple(values[:2]))
    plain: dict[type, tuple[Any, ...]] = {
        bool: (False, True) if name.startswith("parallel") else (True, False),
        int: (3, 4),
        float: (0.5, 0.25),
        bytes: ("aGVsbG8=", "d29ybGQ="),
        datetime: ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
    }
    if hint in plain:
        return Node("scalar", values=plain[hint])
    return (
        Node("scalar", values=_TEXTS.get(name, ("some text", "other text")))
        if issubclass(hint, str)
        else None
    )


@cache
def _hints(hint: Any) -> dict[str, Any]:
    return typing_extensions.get_type_hints(hint, include_extras=True)


def _typed_fields(hint: Any, seen: tuple[Any, ...]) -> Iterator[tuple[str, Node, bool]]:
    for name, annotation in _hints(hint).items():
        node = node_of(annotation, name, seen)
        if node is not None and (node.values or node.fields or node.members):
            yield name, node, _is_required(annotation, total=hint.__total__)


def _is_required(annotation: Any, *, total: bool) -> bool:
    # The definitions annotate in strings, which the class itself does not read (PEP 655, PEP 563).
    while (origin := get_origin(annotation)) is not None:
        if origin in {typing_extensions.Required, typing_extensions.NotRequired}:
            return origin is typing_extensions.Required
        if origin is not typing_extensions.Annotated:
            break
        annotation = get_args(annotation)[0]
    return total


def _model_fields(hint: type[pydantic.BaseModel], seen: tuple[Any, ...]) -> Iterator[tuple[str, Node, bool]]:
    for field_name, field in hint.model_fields.items():
        name = field.alias or field_name
        node = node_of(field.annotation, name, seen)
        if node is not None and (node.values or node.fields or node.members):
            yield name, node, field.is_required() or name in _NEEDED


def _bare(hint: Any) -> Any:
    while True:
        if get_origin(hint) in {
            typing_extensions.Required,
            typing_extensions.NotRequired,
            typing_extensions.Annotated,
        }:
            hint = get_args(hint)[0]
        elif isinstance(
            hint,
            typing.TypeAliasType if hasattr(typing, "TypeAliasType") else typing_extensions.TypeAliasType,
        ):
            hint = hint.__value__
        elif isinstance(hint, typing.ForwardRef | str):
            return None
        else:
            return hint
