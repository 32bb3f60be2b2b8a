"""The four changes of named values: what is removed, renamed, set and added, compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmproxy_rewrite.templates import Template


class Edits:
    """Changes of headers or of a query's parameters, done in the order remove, rename, set, add."""

    __slots__ = ("add", "remove", "rename", "set")

    def __init__(
        self,
        remove: Sequence[str] = (),
        rename: Mapping[str, str] | None = None,
        set_: Mapping[str, str] | None = None,
        add: Mapping[str, str] | None = None,
    ) -> None:
        self.remove = tuple(remove)
        self.rename = dict(rename or {})
        self.set = tuple((name, Template(text)) for name, text in (set_ or {}).items())
        self.add = tuple((name, Template(text)) for name, text in (add or {}).items())

    def __bool__(self) -> bool:
        return bool(self.remove or self.rename or self.set or self.add)
