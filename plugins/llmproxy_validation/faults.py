"""What is wrong with a message, told without a value of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

#: Characters of a pointer that are told: its names are the caller's own.
_LONGEST: Final = 200

#: What is said of an error, by its kind, from what the schema says.
_SENTENCES: Final[Mapping[str, Callable[[Any], str]]] = {
    "Required": lambda kind: f"lacks {_quoted(kind.property)}",
    "Type": lambda kind: f"must be of type {' or '.join(sorted(map(str, kind.types)))}",
    "Enum": lambda kind: "must be one of the values that the schema lists",
    "Constant": lambda kind: "must be the value that the schema names",
    "Format": lambda kind: f"must be of the format {kind.format}",
    "Pattern": lambda kind: "must match the schema's pattern",
    "MinLength": lambda kind: f"must have {kind.limit} characters at least",
    "MaxLength": lambda kind: f"must have {kind.limit} characters at most",
    "MinItems": lambda kind: f"must have {kind.limit} items at least",
    "MaxItems": lambda kind: f"must have {kind.limit} items at most",
    "MinProperties": lambda kind: f"must have {kind.limit} members at least",
    "MaxProperties": lambda kind: f"must have {kind.limit} members at most",
    "Minimum": lambda kind: f"must be {kind.limit} at least",
    "Maximum": lambda kind: f"must be {kind.limit} at most",
    "ExclusiveMinimum": lambda kind: f"must be more than {kind.limit}",
    "ExclusiveMaximum": lambda kind: f"must be less than {kind.limit}",
    "MultipleOf": lambda kind: f"must be a multiple of {kind.multiple_of:g}",
    "UniqueItems": lambda kind: "must not have an item twice",
    "AdditionalItems": lambda kind: "has more items than the schema knows",
    "AdditionalProperties": lambda kind: "has members that the schema does not know",
    "UnevaluatedItems": lambda kind: "has items that the schema does not know",
    "UnevaluatedProperties": lambda kind: "has members that the schema does not know",
    "PropertyNames": lambda kind: "has a member whose name the schema does not allow",
    "Contains": lambda kind: "lacks an item that the schema wants",
    "AnyOf": lambda kind: "fits none of the schema's alternatives",
    "OneOfNotValid": lambda kind: "fits none of the schema's alternatives",
    "OneOfMultipleValid": lambda kind: "fits more than one of the schema's alternatives",
    "Not": lambda kind: "is what the schema forbids",
    "FalseSchema": lambda kind: "is not allowed here",
}


class Fault(NamedTuple):
    """One mistake: `place` is `body`, `query`, `path`, `header` or `cookie`, `pointer` where in it."""

    place: str
    pointer: str
    detail: str

    @property
    def sentence(self) -> str:
        """Return it as a person reads it."""
        return f"{self.place}{self.pointer} {self.detail}"


def detail_of(kind: Any) -> str:
    """Return what is said of an error of the validator."""
    say = _SENTENCES.get(type(kind).__name__)
    try:
        return "does not fit the schema" if say is None else say(kind)
    except (AttributeError, TypeError, ValueError):  # another version of the package says it in another way
        return "does not fit the schema"


def pointer_of(path: Sequence[str | int]) -> str:
    """Return a path as a JSON pointer (RFC 6901), not too long."""
    pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return pointer if len(pointer) <= _LONGEST else pointer[:_LONGEST] + "..."


def _quoted(name: object) -> str:
    return repr(str(name).strip('"'))
