"""Strict decoding of plain trees into msgspec structs, every mistake told with its key path.

`msgspec.convert` stops at the first mistake and does not know the nearest key; this walks the struct's fields
itself and leaves only single values to it. A `Duration`, `Size` or `Secret` field reads what those types say.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import msgspec

from llmproxy.errors import ConfigError, ConfigErrors
from llmproxy.keypaths import join_key, join_paths
from llmproxy.references import Resolved, Secret, quoted
from llmproxy.suggestions import unknown_key
from llmproxy.units import DURATION, SIZE, parse_duration, parse_size

StructT = TypeVar("StructT", bound=msgspec.Struct)

NOWHERE: Final[Mapping[str, str]] = types.MappingProxyType({})

#: The fields of a struct; msgspec evaluates their annotations each time, half of what reading a configuration takes.
fields_of = lru_cache(maxsize=1024)(msgspec.structs.fields)

BROKEN: Final = object()
"""Stands for a value whose mistake is already in the list, so that the rest can still be read."""


def decode_struct(
    type_: type[StructT], tree: object, path: str = "", elsewhere: Mapping[str, str] = NOWHERE
) -> StructT:
    """Decode a mapping into `type_`, or raise ConfigErrors with every mistake in it.

    It reads a plugin's own configuration too: `decode_struct(CacheConfig, instance.config, "plugins.cache")`.
    `elsewhere` tells of keys that are not known here where they are written.
    """
    decoder = Decoder(whole=True)
    value = decoder.struct(type_, tree, path, elsewhere)
    if decoder.errors:
        raise ConfigErrors(first_of_each(decoder.errors))
    return cast(StructT, value)


def first_of_each(errors: Sequence[ConfigError]) -> list[ConfigError]:
    """Drop what only follows from an earlier error at the same key or inside it."""
    kept: list[ConfigError] = []
    for error in errors:
        inside = (f"{error.path}.", f"{error.path}[")
        # Where a list may be written as its only item, that was called by the list's own path until it was decoded.
        same = (error.path, error.path.removesuffix("[0]"))
        if not any(known.path in same or known.path.startswith(inside) for known in kept):
            kept.append(error)
    return kept


class Decoder:
    """One reading of a tree; `errors` collects.

    What is broken falls back to its default, and broken sections keep their places, for whoever looks at what is left.
    Where only the `whole` is of use, a struct's own check never sees what is broken, nor what stands in for it.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self.errors: list[ConfigError] = []
        self._whole = whole

    def struct(
        self, type_: type[msgspec.Struct], tree: object, path: str, elsewhere: Mapping[str, str] = NOWHERE
    ) -> object:
        """Decode a mapping, or a shorthand that the struct's `from_shorthand` knows, into a struct."""
        try:
            tree = type_.from_shorthand(tree) if hasattr(type_, "from_shorthand") else tree
        except ValueError as error:
            return self._fail(path, str(error))
        if not isinstance(tree, dict):
            return self._fail(path, f"expected a mapping, got {_kind(tree)}")
        fields = {field.encode_name: field for field in fields_of(type_)}
        elsewhere = {**elsewhere, **getattr(type_, "elsewhere", NOWHERE)}
        self.errors.extend(
            unknown_key(path, key, fields, elsewhere.get(key)) for key in tree if key not in fields
        )
        values: dict[str, object] = {}
        for key, field in fields.items():
            if key in tree:
                value = self.value(field.type, tree[key], join_key(path, key))
                if value is not BROKEN or field.required or self._whole:
                    values[field.name] = value
            elif field.required:
                values[field.name] = self._fail(join_key(path, key), "missing; it has no default")
        if any(value is BROKEN for value in values.values()):
            return BROKEN
        return self._build(type_, values, path)

    def value(self, type_: Any, tree: object, path: str) -> object:
        """Decode a value of any field type."""
        type_, optional = _without_none(type_)
        if tree is None and optional:
            return None
        origin = typing.get_origin(type_)
        if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
            return self.struct(type_, tree, path)
        if origin is tuple or origin is list:
            return self._sequence(type_, tree, path)
        if origin is dict or origin is Mapping:
            return self._mapping(typing.get_args(type_)[1], tree, path)
        return self._leaf(type_, tree, path)

    def _sequence(self, type_: Any, tree: object, path: str) -> object:
        if not isinstance(tree, list):
            return self._fail(path, f"expected a list, got {_kind(tree)}")
        item_type = typing.get_args(type_)[0]
        items = [self.value(item_type, item, f"{path}[{index}]") for index, item in enumerate(tree)]
        if not self._keeps_broken(item_type) and any(item is BROKEN for item in items):
            return BROKEN
        return tuple(items) if typing.get_origin(type_) is tuple else items

    def _mapping(self, item_type: Any, tree: object, path: str) -> object:
        if not isinstance(tree, dict):
            return self._fail(path, f"expected a mapping, got {_kind(tree)}")
        items = {key: self.value(item_type, item, join_key(path, key)) for key, item in tree.items()}
        broken = not self._keeps_broken(item_type) and any(item is BROKEN for item in items.values())
        return BROKEN if broken else items

    def _leaf(self, type_: Any, tree: object, path: str) -> object:
        if type_ is Any:
            return tree
        try:
            return _convert(type_, tree)
        except (ValueError, TypeError) as error:  # msgspec's ValidationError is a ValueError
            return self._fail(path, _plain_message(str(error)))

    def _build(self, type_: type[msgspec.Struct], values: dict[str, object], path: str) -> object:
        try:
            return type_(**values)
        except ConfigError as error:  # a check of the struct's own, its path relative to it
            self.errors.append(ConfigError(join_paths(path, error.path), error.message, error.suggestion))
        except ValueError as error:
            self.errors.append(ConfigError(path, str(error)))
        return BROKEN

    def _keeps_broken(self, item_type: Any) -> bool:
        """Whether broken items stay in their place: for sections whose checks pass them over."""
        return not self._whole and bool(getattr(item_type, "kept_when_broken", False))

    def _fail(self, path: str, message: str) -> object:
        self.errors.append(ConfigError(path, message))
        return BROKEN


def _convert(type_: Any, tree: object) -> object:
    if isinstance(type_, type) and issubclass(type_, Secret):
        return type_.from_plain(tree)
    if typing.get_origin(type_) is typing.Literal:
        return _one_of(typing.get_args(type_), tree)
    metas = getattr(type_, "__metadata__", ())
    if DURATION in metas:
        tree = parse_duration(tree)
    elif SIZE in metas:
        tree = parse_size(tree)
    resolved = isinstance(tree, Resolved)
    value = msgspec.convert(str.__str__(cast(str, tree)) if resolved else tree, type_, strict=not resolved)
    return tree if resolved and isinstance(value, str) else value


def _one_of(words: tuple[object, ...], tree: object) -> object:
    for word in words:
        if type(word) is int and isinstance(tree, Resolved) and tree == str(word):
            return word
        if word == tree and not isinstance(tree, bool):
            return word
    shown = quoted(tree) if isinstance(tree, str) else _kind(tree)
    raise ValueError(f"expected {' or '.join(map(_word, words))}, got {shown}")


def _word(word: object) -> str:
    return quoted(word) if isinstance(word, str) else str(word)


def _without_none(type_: Any) -> tuple[Any, bool]:
    """Split `T | None` into T and True."""
    if typing.get_origin(type_) not in {typing.Union, types.UnionType}:
        return type_, False
    members = [member for member in typing.get_args(type_) if member is not type(None)]
    optional = len(members) < len(typing.get_args(type_))
    return (members[0] if len(members) == 1 else type_), optional


def _plain_message(message: str) -> str:
    """Turn msgspec's `Expected `int`, got `str`` into this project's words."""
    message = message.split(" - at `$", maxsplit=1)[0].replace("`", "")
    if message == "Invalid decimal string":
        return "not a plain number, such as 250 or 0.5"
    return message[:1].lower() + message[1:]


def _kind(tree: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(str if isinstance(tree, str) else type(tree), "a number")
