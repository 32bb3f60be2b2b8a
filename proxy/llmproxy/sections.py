"""What every section of the configuration is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every section is: frozen, by keyword, closed to unknown keys."""

    kept_when_broken: ClassVar[bool] = True  # crosschecks.py still looks at the sections beside a broken one

    #: Keys that are written elsewhere, or otherwise, and that many would look for here: what to do instead.
    elsewhere: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """Turn the short ways of writing a section into its mapping."""
        return tree


def name_with_options(tree: object, whose: str) -> object:
    """Read `NAME` and `{NAME: options}` as a name with its options; `whose` name it is, for what is neither."""
    if isinstance(tree, str):
        return {"name": tree}
    if isinstance(tree, dict) and len(tree) == 1:
        [(name, options)] = tree.items()
        return {"name": name, "options": {} if options is None else options}
    raise ValueError(f"expected {whose} name, or {{name: options}}")
