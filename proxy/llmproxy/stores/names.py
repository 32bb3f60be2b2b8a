"""Names of stores in the settings of plugins, so that a wrong one is told before anything is opened."""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Final

import msgspec

from llmproxy.decode import fields_of
from llmproxy.errors import ConfigError
from llmproxy.keypaths import join_key
from llmproxy.suggestions import unknown_name

STORE_NAME: Final = msgspec.Meta(extra={"names": "store"}, description="The name of a store under `stores`.")

StoreName = Annotated[str, STORE_NAME]


def unknown_stores(settings: object, path: str, known: Collection[str]) -> Iterator[ConfigError]:
    """Yield a mistake for each field of a plugin's settings that names a store which is none of `known`."""
    if isinstance(settings, msgspec.Struct):
        for field in fields_of(type(settings)):
            value, here = getattr(settings, field.name), join_key(path, field.encode_name)
            names = _names_store(field.type)
            for where, item in _items(here, value):
                if not names:
                    yield from unknown_stores(item, where, known)
                elif item is not None and item not in known:
                    yield unknown_name(where, "store", item, known)


def _items(path: str, value: object) -> list[tuple[str, Any]]:
    if not isinstance(value, tuple | list):
        return [(path, value)]
    return [(f"{path}[{index}]", item) for index, item in enumerate(value)]


def _names_store(type_: object) -> bool:
    if STORE_NAME in getattr(type_, "__metadata__", ()):
        return True
    return any(map(_names_store, typing.get_args(type_)))
